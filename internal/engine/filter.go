package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// checkFilters asks the brokers of every topic with an SQL filter whether they take it, as the Java client does before it
// starts (CHECK_CLIENT_CONFIG 46). A heartbeat with a filter that a broker doesn't take is answered like any other; only
// the pulls fail, and by then the filter stands in the group's subscription. It waits while no broker answers; one that
// is away is not waited for.
func (e *Engine) checkFilters(ctx context.Context) error {
	for _, t := range e.topics {
		if t.cfg.SQL == "" {
			continue
		}
		for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
			checked, err := e.checkFilter(ctx, t)
			if checked {
				if err != nil {
					return fmt.Errorf("topic %s: %w", t.name, err)
				}
				break
			}
			e.waitFor("brokers", err)
			if err := sleep(ctx, wait); err != nil {
				return err
			}
			_, _ = e.view.Routes().Refresh(ctx, t.physical)
		}
	}
	e.setState(Starting, "")
	return nil
}

// checkFilter asks each broker of a topic. checked is false when none could be reached, and err says why.
func (e *Engine) checkFilter(ctx context.Context, t *topic) (checked bool, err error) {
	r, err := e.view.Routes().Get(ctx, t.physical)
	if err != nil {
		return errors.Is(err, rocketkit.ErrClosed), err
	}
	req := protocol.CheckClient{ClientID: e.view.ClientID(), Group: e.group, Subscription: t.sub}
	var away []error
	for _, broker := range r.Brokers() {
		address, ok := r.Address(broker, protocol.MasterID)
		if !ok {
			continue
		}
		_, err := e.view.Invoke(ctx, address, req.Frame())
		refused := (*protocol.Error)(nil)
		switch {
		case err == nil:
			checked = true
		case errors.Is(err, rocketkit.ErrClosed):
			return true, err
		case !errors.As(err, &refused):
			away = append(away, fmt.Errorf("broker %s: %w", broker, err))
		case refused.Code == protocol.CodeSubscriptionParseFailed:
			return true, fmt.Errorf("SQL: broker %s can't read %q: %s: %w", broker, t.cfg.SQL, firstLine(refused.Remark), rocketkit.ErrConfig)
		case refused.Code == protocol.CodeSystemError && strings.Contains(refused.Remark, "does not support"):
			return true, fmt.Errorf("SQL: broker %s doesn't filter by properties: have its operator set enablePropertyFilter=true, "+
				"or filter by Tags: %w: %w", broker, err, rocketkit.ErrConfig)
		default: // it doesn't know the request or doesn't let us: the pulls will tell
			e.log.Warn("filter not checked", "topic", t.name, "broker", broker, "error", err)
			checked = true
		}
	}
	if checked {
		return true, nil
	}
	return false, errors.Join(away...)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}
