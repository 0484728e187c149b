package protocol

import "strings"

// denial explains a refusal for want of rights: what is wrong and what to do, by the remarks of ACL 2.0
// (DefaultAuthenticationHandler, AclAuthorizationHandler) and 1.0 (PlainPermissionManager). Empty for any other.
func denial(request, code int32, remark string) string {
	if code != CodeNoPermission && code != CodeSystemError {
		return ""
	}
	low := strings.ToLower(remark)
	switch {
	case strings.Contains(low, "username cannot be null"), strings.Contains(low, "no accesskey is configured"):
		return "the request was not signed: set Config.Credentials (ROCKETKIT_ACCESS_KEY and ROCKETKIT_SECRET_KEY)"
	case strings.Contains(low, "check signature failed"):
		return "the secret key is not the one that the server has for this access key: check it, or renew it if it was rotated"
	case strings.HasPrefix(low, "user:") && strings.Contains(low, " is not found"), strings.Contains(low, "no acl config for"):
		return "no such user on this broker: check the access key, or create the user on every broker (rocketkit tenant acl --apply, mqadmin createUser)"
	case strings.HasPrefix(low, "user:") && strings.Contains(low, " is disabled"):
		return "enable the user (mqadmin updateUser -s enable)"
	case strings.Contains(low, "has no permission to access"):
		return "grant " + permission(request, remark)
	case strings.Contains(low, "no default permission for"):
		return "grant the access key that topic or group in plain_acl.yml"
	case strings.Contains(low, "token") && (strings.Contains(low, "expired") || strings.Contains(low, "invalid")):
		return "the security token has expired or is not this server's: get new credentials, and give CredentialsFunc's Expires so that they are renewed ahead"
	}
	return ""
}

// permission says which action on which resource would have allowed the request.
func permission(request int32, remark string) string {
	_, rest, _ := strings.Cut(remark, "has no permission to access ")
	resource, why, _ := strings.Cut(rest, " from ")
	text := actionOf(request) + " on " + resource
	if strings.Contains(why, "decision is deny") {
		return text + ", which a rule denies"
	}
	return text + " (rocketkit tenant acl, mqadmin updateAcl); where the user is to have it, check that the rule is on this broker"
}

// actionOf gives the action that a request takes (RocketMQAction, DefaultAuthorizationContextBuilder).
func actionOf(request int32) string {
	switch request {
	case ReqSendMessage, ReqSendMessageV2, ReqSendBatch, ReqEndTransaction, ReqRecall:
		return "Pub"
	case ReqPullMessage, ReqHeartbeat, ReqUnregister, ReqSendBack, ReqLockQueues, ReqUnlockQueues, ReqConsumeDirectly:
		return "Sub"
	case ReqQueryConsumerOffset, ReqConsumerList, ReqQueryMessage:
		return "Sub or Get"
	case ReqUpdateConsumerOffset:
		return "Sub or Update"
	case ReqCreateTopic:
		return "Create"
	case ReqDeleteTopicBroker, ReqDeleteGroup:
		return "Delete"
	case ReqResetOffset, ReqCreateUser, ReqUpdateUser, ReqDeleteUser, ReqUpdateAccess, ReqDeleteAccess, ReqUpdateBrokerConfig:
		return "Update"
	}
	return "Get"
}
