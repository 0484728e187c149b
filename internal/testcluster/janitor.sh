# Runs a cluster's JVMs, so that none of them outlives the process that owns the
# cluster. It must lead a process group of its own.
#
#   $1      the cluster's directory
#   stdin   one line per JVM to start: the name of the directory below $1 that
#           holds its script, run; its output is added to log beside it
#   stdout  "name pid N" when it started, "name exit STATUS" when it ended
#
# At the end of stdin, which comes when the owner closes it or dies, every JVM is
# killed and the directory removed.
root=${1:?}
trap : TERM INT HUP # caught, not ignored: JVMs would inherit that and not stop
trap '' PIPE        # the owner may be gone when something is reported

supervise() {
	jvm=
	trap 'test -n "$jvm" && kill -9 "$jvm"' TERM
	# A kernel sends HUP to an orphaned group of which a member is stopped, as by
	# Node.Pause.
	trap : INT HUP
	sh "$root/$1/run" </dev/null >>"$root/$1/log" 2>&1 3>&- &
	jvm=$!
	echo "$1 pid $jvm"
	# The signal may have come before there was a JVM to kill.
	test -e "$root/ended" && kill -9 "$jvm"
	wait "$jvm"
	status=$?
	# wait also returns when the trap ran.
	while kill -0 "$jvm" 2>/dev/null; do
		wait "$jvm"
		status=$?
	done
	echo "$1 exit $status"
}

while read -r name; do
	supervise "$name" &
done
: >"$root/ended"
kill -TERM 0
until wait; do :; done
rm -rf "$root"
