use crate::testing::{Bench, summary, terminal};
use rustix::io::read;
use tinyd_engine::{ContainerStatus, Finding, LogSource};

const ID: &str = "68d19c54000011112222333344445555\n";

#[test]
fn detached_forms_print_the_id() {
    for line in ["run -d host sleep 3000", "run -i host --name c1 sleep 3000", "run -i host -d --it sh"] {
        let bench = Bench::new();
        let done = bench.run(line);
        assert_eq!((done.code, done.stdout.as_str()), (0, ID), "{line}");
        assert_eq!(done.stderr, "tinyd: note: a remark\n", "{line}");
        assert_eq!(bench.engine.calls(), ["run attach=false window=None"], "{line}");
    }
}

#[test]
fn on_a_terminal_the_image_form_says_a_sentence() {
    let (main, slave) = terminal();
    let bench = Bench::new().with_stdout(slave);
    let said = |line: &str| {
        assert_eq!(bench.run(line).code, 0);
        let mut buffer = [0; 200];
        let length = read(&main, &mut buffer).expect("read");
        String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
    };
    assert_eq!(said("run -i host sleep 3000"), "Create ContainerId 68d19c54 Successfully");
    assert_eq!(said("run -d host sleep 3000"), ID.trim_end());
}

#[test]
fn the_image_form_stays_with_a_terminal() {
    let (_main, slave) = terminal();
    let bench = Bench::new().with_stdin(slave).with_command(|command| command.exit(9));
    let done = bench.run("run -i host --it --banner /bin/sh");
    assert_eq!(done.code, 9, "{}", done.stderr);
    assert!(done.stderr.contains("=====sh=====\n"), "{}", done.stderr);
}

#[test]
fn a_command_that_does_not_run_has_its_code() {
    let done = Bench::new().run("run host nosuch");
    assert_eq!((done.code, done.stderr.as_str()), (127, "tinyd: exec nosuch (install it)\n"));
}

#[test]
fn a_missing_command_is_said() {
    for line in ["run", "run host", "run -ti", "create host", "run -i host", "exec c1"] {
        let done = Bench::new().run(line);
        assert_eq!((done.code, done.stderr.as_str()), (125, "tinyd: Missing container command\n"), "{line}");
    }
    let done = Bench::new().run("exec");
    assert_eq!((done.code, done.stderr.as_str()), (125, "tinyd: no container given\n"));
}

#[test]
fn many_containers_are_all_done() {
    let bench = Bench::new();
    let done = bench.run("stop -t 3 c1 nosuch c2");
    assert_eq!((done.code, done.stdout.as_str()), (1, "c1-id\nc2-id\n"));
    assert_eq!(done.stderr, "tinyd: no container 'nosuch'\n");
    assert_eq!(bench.engine.calls(), ["stop c1 Some(3s)", "stop nosuch Some(3s)", "stop c2 Some(3s)"]);
    let done = Bench::new().run("start c1 odd c2");
    assert_eq!((done.code, done.stdout.as_str()), (126, "c1-id\nc2-id\n"));
}

#[test]
fn simple_verbs_ask_what_they_say() {
    for (line, call) in [
        ("kill -s hup c1", "kill c1 1"),
        ("kill c1", "kill c1 9"),
        ("stop c1", "stop c1 None"),
        ("restart c1", "restart c1 None"),
        ("restart -t 3 c1", "restart c1 Some(3s)"),
        ("rename c1 c2", "rename c1 c2"),
        ("wait --condition removed c1", "wait c1 Removed"),
        ("wait --condition next-exit c1", "wait c1 NextExit"),
        ("wait --condition running c1", "wait c1 Running"),
        ("wait --condition stopped c1", "wait c1 NotRunning"),
        ("rm -f c1", "remove c1 true false"),
        ("delete c1", "remove c1 false false"),
        ("pause c1", "pause c1"),
        ("unpause c1", "unpause c1"),
        ("update --memory 64m c1", "update c1"),
        ("update --restart on-failure:2 c1", "restart policy c1 on-failure:2"),
        ("system restart-policies", "restart policies"),
        ("system restart-due c1", "restart due c1"),
        ("start c1", "start c1 false None"),
        ("system check --repair", "check true"),
    ] {
        let bench = Bench::new();
        assert_eq!(bench.run(line).code, 0, "{line}");
        assert_eq!(bench.engine.calls(), [call], "{line}");
    }
    assert_eq!(Bench::new().run("mount c1").stdout, "/merged/c1-id\n");
    assert_eq!(Bench::new().run("unmount c1").stdout, "c1-id\n");
    assert_eq!(Bench::new().run("wait c1 c2").stdout, "42\n42\n");
    assert_eq!(Bench::new().run("wait c1 nosuch").code, 1);
}

#[test]
fn start_attached_has_the_containers_streams() {
    let bench = Bench::new().with_input(b"typed").with_command(|command| {
        command.stdout(&command.input());
        command.exit(4);
    });
    let done = bench.run("start -ai c1");
    assert_eq!((done.code, done.stdout.as_str()), (4, "typed"));
    assert_eq!(Bench::new().run("start -a c1 c2").code, 125);
}

#[test]
fn exec_passes_its_words_on() {
    let bench = Bench::new();
    let done = bench.run_words(
        ["exec", "-d", "-u", "1:2", "-w", "/w", "-e", "A=1", "c1", "sh", "-c", "a  b"]
            .map(Into::into)
            .to_vec(),
    );
    assert_eq!((done.code, done.stdout.as_str()), (0, ""));
    let call = &bench.engine.calls()[0];
    for part in [r#"["sh", "-c", "a  b"]"#, r#"["A=1"]"#, r#"Some("1:2")"#, r#"Some("/w")"#, "detach: true"] {
        assert!(call.contains(part), "no {part} in {call}");
    }
}

#[test]
fn logs_keep_the_streams_and_time_each_line() {
    let bench = Bench::new();
    *bench.engine.log.lock().expect("lock") =
        vec![(LogSource::Stdout, "one\ntw"), (LogSource::Stderr, "bad\n"), (LogSource::Stdout, "o\n")];
    let done = bench.run("logs --tail 5 c1");
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("one\ntwo\n", "bad\n"));
    let done = bench.run("logs -t -f c1");
    let time = "1970-01-01T00:00:00.000000000Z";
    assert_eq!(done.stdout, format!("{time} one\n{time} two\n"));
    assert_eq!(done.stderr, format!("{time} bad\n"));
    assert_eq!(bench.engine.calls(), ["logs c1 Some(5) false", "logs c1 None true"]);
    assert_eq!(bench.run("logs --tail x c1").code, 2);
}

fn bench_with_containers() -> Bench {
    let bench = Bench::new();
    let mut running = summary(ID.trim_end(), Some("c1"), ContainerStatus::Running, None);
    running.ports = vec!["8080:80".into()];
    running.volumes = vec!["/a:/b".into()];
    let stopped = summary("99d19c54000011112222333344445555", None, ContainerStatus::Stopped, Some(137));
    *bench.engine.containers.lock().expect("lock") = vec![running, stopped];
    bench
}

#[test]
fn ps_has_its_columns() {
    let bench = bench_with_containers();
    let text = bench.run("ps -a").stdout;
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(
        rows[0],
        ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "VOLUME", "NAMES"]
    );
    assert_eq!(rows[1][..3], ["68d19c540000", "/root/redis", "/bin/sleep 3000"]);
    assert_eq!(rows[1][4..], ["RUNNING", "8080:80;", "/a:/b;", "c1"]);
    assert!(rows[1][3].len() == 5 && rows[1][3].contains(':'), "{}", rows[1][3]);
    assert_eq!(rows[2][4..], ["STOPPED (137) OOM", "-", "-", "99d19c540000"]);
    assert_eq!(bench.engine.calls(), ["list true"]);
}

#[test]
fn ps_speaks_to_programs() {
    let bench = bench_with_containers();
    assert_eq!(bench.run("ps -q").stdout, "68d19c540000\n99d19c540000\n");
    assert_eq!(bench.run("ps -q --no-trunc --filter name=c1").stdout, ID);
    assert_eq!(bench.run("ps --format {{.Names}}={{.State}}").stdout, "c1=running\n99d19c540000=exited\n");
    assert_eq!(
        bench.run_words(["ps", "--format", r"table {{.ID}}\t{{.Status}}"].map(Into::into).to_vec()).stdout,
        "CONTAINER ID   STATUS\n68d19c540000   RUNNING\n99d19c540000   STOPPED (137) OOM\n"
    );
    let text = bench.run("ps --format json --filter exited=137").stdout;
    let row: serde_json::Value = serde_json::from_str(&text).expect("one object on one line");
    assert_eq!((&row["ExitCode"], &row["OOMKilled"]), (&137.into(), &true.into()));
    assert!(row["CreatedAt"].as_str().is_some_and(|time| time.ends_with('Z') && time.contains('T')), "{row}");
    assert_eq!(bench.engine.calls().last().map(String::as_str), Some("list true"), "the filter asks for all");
    assert_eq!(bench.run("ps --format {{.Nope}}").code, 2);
    assert_eq!(bench.run("ps --filter colour=red").code, 2);
}

#[test]
fn inspect_is_an_array() {
    let done = Bench::new().run("inspect c1 nosuch c2");
    let array: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!((array[0]["State"]["Pid"].as_u64(), array[1]["Id"].as_str()), (Some(77), Some("c2-id")));
    assert_eq!((done.code, done.stderr.as_str()), (1, "tinyd: no container 'nosuch'\n"));
    assert_eq!(Bench::new().run("info -f {{.State.Pid}} c1 c2").stdout, "77\n77\n");
    assert_eq!(Bench::new().run("inspect nosuch").stdout, "[]\n");
}

#[test]
fn versions() {
    let done = Bench::new().run("version --format json");
    let value: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(value["Client"]["Version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(value["Server"]["Version"], "9.9.9");
    assert!(Bench::new().run("version").stdout.contains("Kernel:   6.18"));
}

#[test]
fn what_the_engine_has_is_told_and_warnings_go_beside_it() {
    let done = Bench::new().run("system info");
    assert_eq!(done.code, 0);
    for line in
        ["Containers: 3\n", " Running: 1\n", " Backing Filesystem: ext4\n", "Total Memory: 3.00 GiB\n"]
    {
        assert!(done.stdout.contains(line), "{line}: {}", done.stdout);
    }
    assert!(done.stdout.contains(" Not aufs: it is in no kernel\n"), "{}", done.stdout);
    assert!(
        done.stderr.starts_with("tinyd: warning: no swap") && !done.stderr.contains('\x1b'),
        "{}",
        done.stderr
    );
    assert_eq!(Bench::new().run("system info -f {{.Containers}}").stdout, "3\n");
    let json = Bench::new().run("system info --format json").stdout;
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&value["OSType"], &value["MemTotal"]), (&"".into(), &(3_u64 << 30).into()));
}

#[test]
fn a_check_that_finds_something_fails() {
    let bench = Bench::new();
    let done = bench.run("system check");
    let remark = "tinyd: note: this machine drops much\n";
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", remark));
    let finding = |repaired| Finding {
        object: "/sys/fs/cgroup/tinyd/x".into(),
        problem: "belongs to no container".into(),
        repaired,
        failure: None,
    };
    *bench.engine.findings.lock().expect("lock") = vec![finding(false)];
    let done = bench.run("system check");
    assert_eq!((done.code, done.stdout.as_str()), (1, "/sys/fs/cgroup/tinyd/x: belongs to no container\n"));
    *bench.engine.findings.lock().expect("lock") = vec![finding(true)];
    let done = bench.run("system check --repair");
    assert_eq!((done.code, done.stdout.ends_with("(repaired)\n")), (0, true));
}

#[test]
fn limits_are_changed_by_the_options_of_run() {
    let bench = Bench::new();
    assert_eq!(bench.run("update --mem 64m --cpus 1.5 --memory-swap -1 --pids-limit -1 c1 c2").code, 0);
    assert_eq!(bench.engine.calls(), ["update c1", "update c2"]);
    let limits = bench.engine.spec().resources;
    assert_eq!((limits.memory, limits.cpu_quota), (Some(64 << 20), Some(150_000)));
    assert_eq!((limits.memory_swap, limits.pids), (Some(-1), Some(-1)));
    assert_eq!(Bench::new().run("update --mem 1x c1").code, 2);
}

#[test]
fn what_is_used_is_the_difference_of_two_looks() {
    let done = Bench::new().run("stats --no-stream c1");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let line = done.stdout.lines().nth(1).expect("a line");
    for part in ["c1-id", "50.00%", "64.0MiB / 128.0MiB", "3.00MiB / 1.00KiB", "-- / --", "3"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!done.stdout.contains('\x1b'), "{}", done.stdout);
    let done = Bench::new().run("stats --no-stream --format {{.CPUPerc}};{{.PIDs}} c1");
    assert_eq!(done.stdout, "50.00%;3\n");
    let missing = Bench::new().run("stats --no-stream nosuch");
    assert_eq!((missing.code, missing.stdout.as_str()), (1, ""));
}

#[test]
fn events_are_lines_objects_or_templates() {
    let bench = Bench::new();
    let done = bench.run("events --since 5 --no-stream --filter event=die --filter label=a=b");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(
        bench.engine.calls(),
        [r#"events Some(Number(5)) None false [Action("die"), Label("a", Some("b"))]"#]
    );
    let lines: Vec<_> = done.stdout.lines().collect();
    assert!(lines[0].starts_with("1970-01-01T00:00:01.000000000Z 7 container die 68d1"), "{}", lines[0]);
    assert!(lines[0].contains("exitCode=3") && !lines[0].contains('\x1b'), "{:?}", lines[0]);
    assert!(lines[1].contains(" 9 engine lost "), "{}", lines[1]);
    let done = Bench::new().run("events --format json");
    let first: serde_json::Value =
        serde_json::from_str(done.stdout.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["Seq"], &first["status"], &first["time"]), (&7.into(), &"die".into(), &1.into()));
    assert_eq!(Bench::new().run("events --format {{.Seq}}:{{.Action}}").stdout, "7:die\n9:lost\n");
    for wrong in ["events --filter colour=red", "events --since yesterday", "events -f --no-stream"] {
        assert_eq!(Bench::new().run(wrong).code, 2, "{wrong}");
    }
}

#[test]
fn who_waits_for_health_needs_a_check() {
    let done = Bench::new().run("wait --healthy c1");
    assert_eq!((done.code, done.stderr.as_str()), (1, "tinyd: container c1 has no health check\n"));
    assert_eq!(Bench::new().run("wait --timeout 1s c1").code, 2);
    let bench = Bench::new();
    let mut healthy = summary(ID.trim_end(), Some("c1"), ContainerStatus::Running, None);
    healthy.health = Some(tinyd_engine::HealthStatus::Healthy);
    *bench.engine.containers.lock().expect("lock") = vec![healthy];
    assert_eq!(bench.run("ps --format {{.Status}};{{.Health}}").stdout, "RUNNING (healthy);healthy\n");
    assert_eq!(bench.run("ps -q --filter health=unhealthy").stdout, "");
    assert_eq!(bench.run("ps --filter health=ill").code, 2);
}
