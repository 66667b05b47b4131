//! F11: numbers of processes that pass to others. No signal ever reaches a process that is not the container's.
//!
//! In a PID namespace of its own the next number can be chosen (`ns_last_pid`), so a dead container's numbers are given to
//! decoys at once. A decoy is a `sleep`: whatever signal the engine could send it ends it, and its exit code tells.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::time::Duration;

use tinyd_tests::{Env, paths, require, roots};

/// What both scripts begin with. `T` is the program with its folders, `I` the image.
const COMMON: &str = r#"
set -u
T="$1"; R="$2"; I="$3"; ROUNDS="$4"; LOG="$5"
last=/proc/sys/kernel/ns_last_pid
wrong() { echo "$*" >> "$LOG"; }
# The first and the monitor's number of the container c, from its record.
numbers() { sed 's/.*"init":{"pid":\([0-9]*\).*"monitor":{"pid":\([0-9]*\).*/\1 \2/' "$R"/containers/"$1"/state.json; }
alive() { test -d /proc/"$1" && ! grep -q '^State:.Z' /proc/"$1"/status; }
"#;

/// The numbers of a container that died unseen, and of its monitor, are given to two decoys; then it is signalled.
const EXACT: &str = r#"
round=0
while test "$round" -lt "$ROUNDS"; do
    round=$((round + 1))
    id=$($T run -d --name c "$I" sleep 1000) || wrong "run failed"
    set -- $(numbers "$id"); init=$1; monitor=$2
    kill -9 "$monitor"; kill -9 "$init"
    while alive "$monitor" || alive "$init"; do :; done
    # A child of this shell, which is the first process here: it takes their exits while it waits for this one.
    sh -c : ; while test -d /proc/"$monitor" || test -d /proc/"$init"; do sh -c :; done
    echo $((init - 1)) > $last; sleep 1000 & first=$!
    echo $((monitor - 1)) > $last; sleep 1000 & second=$!
    test "$first" = "$init" -o "$first" = "$monitor" && echo reused >> "$LOG.reused"
    case $((round % 5)) in
        0) $T kill c; $T rm c ;;
        1) $T stop -t 0 c; $T rm c ;;
        2) $T rm -f c ;;
        3) $T ps -a; $T kill -s USR1 c; $T rm -f c ;;
        4) $T pause c; $T exec c true; $T system check --repair; $T rm -f c ;;
    esac > /dev/null 2>&1
    for decoy in $first $second; do
        alive "$decoy" || wrong "round $round: decoy $decoy was signalled (init $init, monitor $monitor)"
        kill "$decoy"
    done
    wait
done
"#;

/// Containers are killed and stopped while decoys are born and end in the same few hundred numbers.
const CROWDED: &str = r#"
# Every number is used again within moments.
( while test ! -e "$LOG.end"; do echo 300 > $last; sleep 0.03; done ) &
decoys() {
    count=0
    while test ! -e "$LOG.end"; do
        sleep 0.05; code=$?
        count=$((count + 1))
        test "$code" = 0 || wrong "a decoy ended with $code"
    done
    echo "$count" >> "$LOG.decoys"
}
for decoy in 1 2 3 4 5 6; do decoys & done
work() {
    round=0
    while test "$round" -lt $((ROUNDS / 2)); do
        round=$((round + 1))
        $T run -d --name "$1" "$I" sh -c 'trap : USR1; while :; do sleep 0.01; done' > /dev/null || wrong "run failed"
        for again in 1 2 3 4; do $T kill -s USR1 "$1" > /dev/null; done
        if test $((round % 2)) = 0; then $T stop -t 0 "$1"; else $T kill "$1"; fi > /dev/null || wrong "$1 was not killed"
        $T rm "$1" > /dev/null || wrong "$1 was not removed"
    done
    : > "$LOG.$1"
}
work a & work b &
while ! test -e "$LOG.a" -a -e "$LOG.b"; do sleep 0.1; done
: > "$LOG.end"
wait
"#;

/// Runs a script as the first process of a PID namespace.
fn in_namespace(script: &str, rounds: usize) -> Env {
    let env = Env::new();
    let log = env.file("log", "");
    let script = env.file("script", format!("{COMMON}{script}"));
    let program = format!(
        "{} --root {} --run-root {}",
        paths::tinyd().display(),
        env.root().display(),
        env.run_root().display()
    );
    let image = roots::busybox();
    let words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"].map(str::to_owned);
    let arguments = [&script, &program.into(), &env.run_root(), &image, &rounds.to_string().into(), &log]
        .map(|path| path.clone());
    let command =
        env.other(words.into_iter().map(Into::into).chain(arguments.map(std::path::PathBuf::into_os_string)));
    let output = command.limit(Duration::from_secs(1000)).output();
    let wrong = fs::read_to_string(&log).unwrap();
    assert!(wrong.is_empty() && output.code() == Some(0), "{wrong}\n{output}");
    env.assert_clean();
    env
}

fn exact(rounds: usize) {
    let env = in_namespace(EXACT, rounds);
    let reused = fs::read_to_string(env.files().join("log.reused")).unwrap_or_default().lines().count();
    // Another process may have been given the number in the moment between.
    assert!(reused * 10 >= rounds * 9, "only {reused} of {rounds} decoys had a container's number");
}

fn crowded(rounds: usize) {
    let env = in_namespace(CROWDED, rounds);
    let counts = fs::read_to_string(env.files().join("log.decoys")).unwrap();
    let decoys: usize = counts.lines().map(|count| count.parse::<usize>().unwrap()).sum();
    assert!(decoys > rounds, "there were only {decoys} decoys");
}

#[test]
fn what_has_the_number_of_a_dead_container_is_not_signalled() {
    require!(root);
    require!(program);
    exact(40);
}

#[test]
fn kills_and_stops_in_a_crowd_reach_the_container_alone() {
    require!(root);
    require!(program);
    crowded(60);
}

#[test]
#[ignore = "takes minutes: 10,000 kills"]
fn soak_kills_and_stops_where_numbers_pass_on_at_once() {
    require!(root);
    exact(1000);
    crowded(1800);
}
