package file

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What each look makes of a file, by a clock that waits for nobody.
func TestReports(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const settle = 250 * time.Millisecond
		var told []string
		path := filepath.Join(t.TempDir(), "settings.json")
		r := reports{wrapper: &wrapper{id: billing}, settle: settle, found: func(text string, err error) {
			switch {
			case err != nil:
				text = err.Error()
			case strings.Contains(text, `"rev"`):
				text = "document"
			}
			told = append(told, text)
		}}
		for i, step := range []struct {
			text  string
			after time.Duration
			tells string // "-": nothing
			doubt bool
		}{
			{`{"top`, 0, "-", true},
			{`{"topics"`, settle, "-", true}, // another half
			{`{"topics"`, settle - 1, "-", true},
			{`{"topics"`, 1, `{"topics"`, false},
			{`{"topics"`, time.Hour, "-", false},
			{"", time.Hour, "-", true}, // it is being mended
			{"", settle - 1, "-", true},
			{`{"topics":{}}`, 1, "document", false},
			{`{"topics": {} }`, time.Hour, "-", false},
			{"", time.Hour, "-", true},
			{"", settle, "the file is empty; to go back to the program's own settings, write {}", false},
			{`{}`, 0, "document", false},
		} {
			write(t, path, step.text)
			time.Sleep(step.after)
			told = nil
			doubt := r.look(path)
			if got := strings.Join(append(told, "-")[:1], ""); got != step.tells || doubt != step.doubt || len(told) > 1 {
				t.Errorf("step %d: %q, in doubt %t, want %q, %t", i+1, told, doubt, step.tells, step.doubt)
			}
		}
	})
}
