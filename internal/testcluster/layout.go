package testcluster

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed logback.xml
var logback []byte

const (
	mainNameServer = "org.apache.rocketmq.namesrv.NamesrvStartup"
	mainBroker     = "org.apache.rocketmq.broker.BrokerStartup"
	mainAdmin      = "org.apache.rocketmq.tools.command.MQAdminStartup"
)

// Serial collection has the smallest footprint, and threads of its own would
// only compete with the broker's on a small machine. A broker compiles as usual,
// because what it is measured for would suffer; the others do too little work.
var (
	heapNameServer = []string{"-XX:+UseSerialGC", "-Xms32m", "-Xmx128m", "-XX:MaxDirectMemorySize=64m", "-XX:TieredStopAtLevel=1"}
	heapBroker     = []string{"-XX:+UseSerialGC", "-Xms256m", "-Xmx512m", "-XX:MaxDirectMemorySize=256m"}
	heapAdmin      = []string{"-XX:+UseSerialGC", "-Xms32m", "-Xmx128m", "-XX:TieredStopAtLevel=1"}
)

// installation is what a JVM needs to run any of RocketMQ's programs.
type installation struct {
	java    string
	jars    string
	version string
}

// lay writes a directory from which the janitor can run one program: its script,
// called run, and RocketMQ's home, which is also the user's home to the JVM, as
// name servers and tools write below that.
func (in installation) lay(dir, level string, jvm []string, main string, args ...string) error {
	conf := filepath.Join(dir, "conf")
	for _, made := range []string{dir, conf} { // not MkdirAll: the cluster may be gone, and must stay so
		if err := os.Mkdir(made, 0o700); err != nil {
			return err
		}
	}
	// 4.x finds these by name and exits without; 5.x is told.
	config := bytes.ReplaceAll(logback, []byte("LEVEL"), []byte(level))
	for _, program := range []string{"namesrv", "broker", "tools"} {
		if err := os.WriteFile(filepath.Join(conf, "logback_"+program+".xml"), config, 0o600); err != nil {
			return err
		}
	}
	command := []string{in.java}
	// Without, every server makes itself a key and a certificate at start, which
	// takes a busy machine seconds. A cluster that wants TLS sets permissive.
	command = append(command, "-Dtls.server.mode=disabled")
	command = append(command, jvm...)
	if strings.HasPrefix(in.version, "4.") {
		command = append(command, // older than the module system, into which it reaches
			"--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
			"--add-opens=java.base/java.nio=ALL-UNNAMED")
	}
	command = append(command,
		"-Duser.home="+dir,
		"-Drmq.logback.configurationFile="+filepath.Join(conf, "logback_broker.xml"),
		"-cp", filepath.Join(in.jars, "*"), main)
	command = append(command, args...)
	script := "cd " + quote(dir) + " || exit\nexport ROCKETMQ_HOME=" + quote(dir) + "\nunset NAMESRV_ADDR JAVA_TOOL_OPTIONS\nexec"
	for _, word := range command {
		script += " " + quote(word)
	}
	return os.WriteFile(filepath.Join(dir, "run"), []byte(script+"\n"), 0o600)
}

// quote makes one word of a shell's command line.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// nameServerProperties are a name server's whole configuration.
func nameServerProperties(port int, dir string) map[string]string {
	return map[string]string{
		"listenPort":   fmt.Sprint(port),
		"bindAddress":  "127.0.0.1",
		"kvConfigPath": filepath.Join(dir, "kvConfig.json"),
	}
}

// brokerProperties are a broker's whole configuration: small files in the store,
// which are sparse anyway, and nothing that depends on the machine's addresses.
func brokerProperties(name string, id, port int, nameServers []string, dir string, own map[string]string) map[string]string {
	set := map[string]string{
		"brokerClusterName": ClusterName,
		"brokerIP1":         "127.0.0.1",
		"brokerIP2":         "127.0.0.1", // where replicas find it
		"bindAddress":       "127.0.0.1", // 4.x binds all addresses
		"brokerRole":        "ASYNC_MASTER",
		"flushDiskType":     "ASYNC_FLUSH",

		"autoCreateTopicEnable":       "false",
		"autoCreateSubscriptionGroup": "true",
		"registerNameServerPeriod":    "10000", // ms, RocketMQ's least: how late a name server that returns learns of it

		"mappedFileSizeCommitLog":    "67108864",
		"mapedFileSizeCommitLog":     "67108864", // how 4.x before 4.9 spells it
		"mappedFileSizeConsumeQueue": "600000",   // 30,000 entries
		"mappedFileSizeTimerLog":     "8388608",
		"maxHashSlotNum":             "200000",
		"maxIndexNum":                "800000",
		"transientStorePoolEnable":   "false",
		"cleanFileForciblyEnable":    "false", // else a full disk makes it delete what nobody read yet
	}
	maps.Copy(set, own)
	if id > 0 {
		set["brokerRole"] = "SLAVE"
	}
	set["brokerName"] = name
	set["brokerId"] = fmt.Sprint(id)
	set["listenPort"] = fmt.Sprint(port)
	set["haListenPort"] = fmt.Sprint(port + 1)
	set["namesrvAddr"] = strings.Join(nameServers, ";")
	set["storePathRootDir"] = filepath.Join(dir, "store")
	return set
}

// writeProperties writes what java.util.Properties reads.
func writeProperties(path string, set map[string]string) error {
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(set)) {
		fmt.Fprintf(&text, "%s=%s\n", name, escape.Replace(set[name]))
	}
	return os.WriteFile(path, []byte(text.String()), 0o600)
}
