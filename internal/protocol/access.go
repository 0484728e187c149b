package protocol

import (
	"encoding/json"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// UserInfo is a user of ACL 2.0 (UserInfo in RocketMQ). Empty fields are left as they are by an update.
type UserInfo struct {
	Name     string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	Type     string `json:"userType,omitempty"`   // "Super" or "Normal"
	Status   string `json:"userStatus,omitempty"` // "enable" or "disable"
}

// AccessRule is one rule of a user (AclInfo.PolicyEntryInfo).
type AccessRule struct {
	Resource  string   `json:"resource"`
	Actions   []string `json:"actions"`
	SourceIPs []string `json:"sourceIps,omitempty"`
	Decision  string   `json:"decision"`
}

// AccessPolicy is the rules of one kind (AclInfo.PolicyInfo).
type AccessPolicy struct {
	Type    string       `json:"policyType"` // "Custom" or "Default"
	Entries []AccessRule `json:"entries"`
}

type aclInfo struct {
	Subject  string         `json:"subject"`
	Policies []AccessPolicy `json:"policies"`
}

// PolicyCustom are the rules that users are given; those of type Default apply where none of them does.
const PolicyCustom = "Custom"

func subjectOf(user string) string { return "User:" + user }

// CreateUser makes a user of ACL 2.0.
type CreateUser struct{ User UserInfo }

// Frame encodes the request.
func (r CreateUser) Frame() *frame.Frame { return userFrame(ReqCreateUser, r.User) }

// UpdateUser changes what is set of a user.
type UpdateUser struct{ User UserInfo }

// Frame encodes the request.
func (r UpdateUser) Frame() *frame.Frame { return userFrame(ReqUpdateUser, r.User) }

func userFrame(code int32, user UserInfo) *frame.Frame {
	body, _ := json.Marshal(user) // strings alone
	return &frame.Frame{Code: code, Fields: frame.Fields{{Key: "username", Value: user.Name}}, Body: body}
}

// DeleteUser removes a user with all rules.
type DeleteUser struct{ User string }

// Frame encodes the request.
func (r DeleteUser) Frame() *frame.Frame {
	return &frame.Frame{Code: ReqDeleteUser, Fields: frame.Fields{{Key: "username", Value: r.User}}}
}

// GetUser asks for a user; ParseGetUser reads the answer.
type GetUser struct{ User string }

// Frame encodes the request.
func (r GetUser) Frame() *frame.Frame {
	return &frame.Frame{Code: ReqGetUser, Fields: frame.Fields{{Key: "username", Value: r.User}}}
}

// ParseGetUser reads the answer to GetUser; false when there is no such user.
func ParseGetUser(f *frame.Frame) (user UserInfo, found bool, err error) {
	if err := Check(ReqGetUser, f); err != nil || len(f.Body) == 0 {
		return user, false, err
	}
	if err := json.Unmarshal(f.Body, &user); err != nil {
		return UserInfo{}, false, badAnswer(ReqGetUser, err)
	}
	return user, true, nil
}

// UpdateAccess adds rules to a user's own, and replaces those of the same resources.
type UpdateAccess struct {
	User  string
	Rules []AccessRule
}

// Frame encodes the request.
func (r UpdateAccess) Frame() *frame.Frame {
	body, _ := json.Marshal(aclInfo{subjectOf(r.User), []AccessPolicy{{PolicyCustom, r.Rules}}}) // strings alone
	return &frame.Frame{Code: ReqUpdateAccess, Fields: frame.Fields{{Key: "subject", Value: subjectOf(r.User)}}, Body: body}
}

// DeleteAccess removes a user's rule for one resource.
type DeleteAccess struct{ User, Resource string }

// Frame encodes the request.
func (r DeleteAccess) Frame() *frame.Frame {
	return &frame.Frame{Code: ReqDeleteAccess, Fields: frame.Fields{
		{Key: "subject", Value: subjectOf(r.User)}, {Key: "policyType", Value: PolicyCustom}, {Key: "resource", Value: r.Resource},
	}}
}

// GetAccess asks for a user's rules; ParseGetAccess reads the answer. It is refused where there is no such user.
type GetAccess struct{ User string }

// Frame encodes the request.
func (r GetAccess) Frame() *frame.Frame {
	return &frame.Frame{Code: ReqGetAccess, Fields: frame.Fields{{Key: "subject", Value: subjectOf(r.User)}}}
}

// ParseGetAccess reads the answer to GetAccess.
func ParseGetAccess(f *frame.Frame) ([]AccessPolicy, error) {
	if err := Check(ReqGetAccess, f); err != nil || len(f.Body) == 0 {
		return nil, err
	}
	var acl aclInfo
	if err := json.Unmarshal(f.Body, &acl); err != nil {
		return nil, badAnswer(ReqGetAccess, err)
	}
	return acl.Policies, nil
}
