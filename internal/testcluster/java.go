package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNoJava is wrapped by Start's error where java, or mvn when jars must be
// fetched, isn't installed. The error is one line that says what to install.
var ErrNoJava = errors.New("testcluster: Java or Maven is missing")

// findJava returns a java that works: JAVA_HOME's, else the PATH's.
func findJava(ctx context.Context) (string, error) {
	const install = "install a JDK, 17 or newer (Debian: openjdk-17-jdk-headless, macOS: brew install openjdk@17), or set JAVA_HOME to one"
	var java string
	if home := os.Getenv("JAVA_HOME"); home != "" {
		java = filepath.Join(home, "bin", "java")
		if _, err := os.Stat(java); err != nil {
			return "", fmt.Errorf("%w: JAVA_HOME is %s, which has no bin/java; %s", ErrNoJava, home, install)
		}
	} else {
		found, err := exec.LookPath("java")
		if err != nil {
			return "", fmt.Errorf("%w: no java in PATH; %s", ErrNoJava, install)
		}
		java = found
	}
	// macOS has a java in PATH that only says that there is none.
	if err := exec.CommandContext(ctx, java, "-version").Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("testcluster: %s -version: %w", java, ctx.Err())
		}
		return "", fmt.Errorf("%w: %s -version: %w; %s", ErrNoJava, java, err, install)
	}
	return java, nil
}

func findMaven(version string) (string, error) {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("%w: no mvn in PATH, which fetches RocketMQ %s's jars once; install Maven, 3.6 or newer (Debian: maven, macOS: brew install maven)", ErrNoJava, version)
	}
	return mvn, nil
}
