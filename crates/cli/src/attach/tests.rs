use crate::testing::{Bench, Message, Peer, resize, terminal};
use nix::sys::signal::Signal;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

#[test]
fn both_streams_and_the_exit_code() {
    let bench = Bench::new().with_command(|command| {
        command.stdout(b"a\n");
        command.stderr(b"b\n");
        command.exit(7);
    });
    let done = bench.run("run --rm host sh");
    assert_eq!((done.code, done.stdout.as_str()), (7, "a\n"));
    assert_eq!(done.stderr, "tinyd: note: a remark\nb\n");
    assert_eq!(bench.engine.calls(), ["run attach=true window=None"]);
}

#[test]
fn all_input_arrives_and_then_its_end() {
    let input: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let (sender, received) = channel();
    let bench = Bench::new().with_input(&input).with_command(move |command| {
        sender.send(command.input()).expect("send");
        command.exit(0);
    });
    assert_eq!(bench.run("exec -i c1 cat").code, 0);
    assert!(received.recv().expect("input") == input, "the input arrived changed");
}

#[test]
fn input_is_left_alone_unless_it_is_wanted() {
    let (sender, received) = channel();
    let bench = Bench::new().with_input(b"for somebody else").with_command(move |command| {
        command.exit(0);
        sender.send(command.receive()).expect("send");
    });
    assert_eq!(bench.run("run host true").code, 0);
    assert_eq!(received.recv().expect("nothing"), None);
}

#[test]
fn a_command_that_writes_before_it_reads_does_not_block() {
    let size = 2_000_000;
    let bench = Bench::new().with_input(&vec![b'i'; size]).with_command(move |command| {
        command.stdout(&vec![b'o'; size]);
        let read = command.input().len();
        command.stderr(read.to_string().as_bytes());
        command.exit(0);
    });
    let done = bench.run("exec -i c1 odd");
    assert_eq!((done.code, done.stdout.len(), done.stderr.as_str()), (0, size, "2000000"));
}

#[test]
fn a_slow_reader_gets_everything() {
    let (reader, writer) = rustix::pipe::pipe().expect("pipe");
    let size = 10_000_000;
    let bench = Bench::new().with_stdout(writer).with_command(move |command| {
        command.stdout(&vec![b'o'; size]);
        command.exit(3);
    });
    let reading = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        let mut all = Vec::new();
        std::fs::File::from(reader).read_to_end(&mut all).expect("read");
        all.len()
    });
    assert_eq!(bench.run("exec c1 yes").code, 3);
    drop(bench);
    assert_eq!(reading.join().expect("reader"), size);
}

#[test]
fn a_reader_that_left_does_not_change_the_exit_code() {
    let (reader, writer) = rustix::pipe::pipe().expect("pipe");
    drop(reader);
    let bench = Bench::new().with_stdout(writer).with_command(|command| {
        command.stdout(&vec![b'o'; 1_000_000]);
        command.stderr(b"still here");
        command.exit(5);
    });
    let done = bench.run("exec c1 yes");
    assert_eq!((done.code, done.stderr.as_str()), (5, "still here"));
}

#[test]
fn a_full_disk_is_told_and_does_not_change_the_exit_code() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("full");
    let bench = Bench::new().with_stdout(full).with_command(|command| {
        command.stdout(b"x");
        command.exit(0);
    });
    let done = bench.run("exec c1 yes");
    assert_eq!(done.code, 0);
    assert!(done.stderr.starts_with("tinyd: write the command's output: "), "{}", done.stderr);
}

/// Takes signals until the command has been sent so many, and gives them on.
fn signals(command: &Peer, count: usize) -> Vec<u8> {
    let received = (0..count).filter_map(|_| match command.receive() {
        Some(Message::Signal(signal)) => u8::try_from(signal).ok(),
        _ => None,
    });
    received.collect()
}

/// (Not SIGINT: a shell starts its background jobs without it, and then it is not for the command either.)
#[test]
fn signals_that_come_during_the_start_are_passed_on() {
    let bench = Bench::new().with_command(|command| {
        command.stdout(format!("{:?}", signals(&command, 2)).as_bytes());
        command.exit(130);
    });
    *bench.engine.signals_at_start.lock().expect("lock") = vec![Signal::SIGUSR1, Signal::SIGUSR2];
    let done = bench.run("run host sleep 100");
    assert_eq!((done.code, done.stdout.as_str()), (130, "[10, 12]"));
}

#[test]
fn a_full_session_is_no_obstacle_to_a_signal() {
    let bench = Bench::new().with_input(&vec![b'i'; 4_000_000]);
    let engine = bench.engine.clone();
    // It reads nothing: the input fills the session, and the signal has to find another way.
    let bench = bench.with_command(move |command| {
        let started = Instant::now();
        while !engine.calls().iter().any(|call| call.ends_with(" 15"))
            && started.elapsed() < Duration::from_secs(20)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        command.exit(143);
    });
    assert_eq!(bench.run_raising("run -i --rm host sleep 100", Signal::SIGTERM).code, 143);
    let calls = bench.engine.calls();
    assert!(calls.iter().any(|call| call == "kill 68d19c54000011112222333344445555 15"), "{calls:?}");
}

#[test]
fn a_terminal_is_raw_while_the_command_runs_and_has_its_size_before() {
    let (main, slave) = terminal();
    let before = rustix::termios::tcgetattr(&slave).expect("attributes");
    let watched = slave.try_clone().expect("clone");
    let (sender, received) = channel();
    let bench = Bench::new().with_stdin(slave.try_clone().expect("clone")).with_command(move |command| {
        let mut seen = vec![command.receive()];
        let raw = rustix::termios::tcgetattr(&watched).expect("attributes");
        let canonical = raw.local_modes.contains(rustix::termios::LocalModes::ICANON);
        // A byte that a terminal in its usual mode would turn into a signal.
        rustix::io::write(&main, b"\x03").expect("type");
        seen.push(command.receive());
        // The other end goes along: a terminal without it would have no attributes left.
        sender.send((canonical, seen, main)).expect("send");
        command.exit(0);
    });
    *bench.engine.signals_at_start.lock().expect("lock") = vec![Signal::SIGWINCH];
    let done = bench.run("run -it --rm host sh");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let (canonical, seen, _main) = received.recv().expect("seen");
    assert!(!canonical, "the terminal was not raw");
    assert_eq!(seen, [Some(Message::Resize(40, 120)), Some(Message::Stdin(vec![3]))]);
    assert_eq!(bench.engine.calls(), ["run attach=true window=Some((40, 120))"]);
    let after = rustix::termios::tcgetattr(&slave).expect("attributes");
    assert_eq!(after.local_modes, before.local_modes, "the terminal was not given back");
}

#[test]
fn a_new_size_is_passed_on() {
    let (main, slave) = terminal();
    let bench = Bench::new().with_stdin(slave.try_clone().expect("clone")).with_command(move |command| {
        let size = command.receive();
        command.stdout(format!("{size:?}").as_bytes());
        command.exit(0);
        drop(main);
    });
    resize(slave.as_fd(), 50, 200);
    *bench.engine.signals_at_start.lock().expect("lock") = vec![Signal::SIGWINCH];
    assert_eq!(bench.run("exec -it c1 sh").stdout, "Some(Resize(50, 200))");
}

#[test]
fn a_terminal_needs_a_terminal() {
    let bench = Bench::new();
    let done = bench.run("run -it host sh");
    assert_eq!(done.code, 125);
    assert!(done.stderr.starts_with("tinyd: the input device is not a TTY"), "{}", done.stderr);
    assert!(bench.engine.calls().is_empty(), "something was started");
}

#[test]
fn a_monitor_that_went_away_is_not_the_end() {
    let bench = Bench::new().with_command(drop);
    let done = bench.run("run host sleep 100");
    assert_eq!(done.code, 42, "the exit is on record: {}", done.stderr);
    let bench = Bench::new().with_command(drop);
    let done = bench.run("exec c1 sleep 100");
    assert_eq!(done.code, 125);
    assert!(done.stderr.contains("monitor went away"), "{}", done.stderr);
}

/// Types on a terminal while a command line runs; returns what the command got.
fn typing(line: &str, typed: &'static [&'static [u8]], tty: bool) -> (crate::testing::Done, Vec<Message>) {
    let (main, slave) = terminal();
    let (sender, received) = channel();
    let bench = Bench::new().with_stdin(slave).with_command(move |command| {
        for bytes in typed {
            rustix::io::write(&main, bytes).expect("type");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut seen = Vec::new();
        while let Some(message) = command.receive() {
            let last = message == Message::Detached;
            seen.push(message);
            if last {
                break;
            }
        }
        sender.send((seen, main)).expect("send");
    });
    *bench.engine.tty.lock().expect("lock") = tty;
    let done = bench.run(line);
    let (seen, _main) = received.recv().expect("seen");
    (done, seen)
}

#[test]
fn keys_leave_a_session_and_the_command_goes_on() {
    for line in ["attach c1", "run -it host sh", "start -ai c1"] {
        let (done, seen) = typing(line, &[b"ls\x1dnever"], true);
        assert_eq!((done.code, done.stdout.as_str()), (0, ""), "{line}: {}", done.stderr);
        assert!(
            done.stderr.contains("tinyd: detached; the container runs on (tinyd attach "),
            "{}",
            done.stderr
        );
        assert_eq!(seen, [Message::Stdin(b"ls".to_vec()), Message::Detached], "{line}");
    }
    let (done, seen) = typing("exec -it --detach-keys ctrl-p,ctrl-q c1 sh", &[b"\x1d\x10", b"\x11"], true);
    assert_eq!((done.code, seen), (0, vec![Message::Stdin(b"\x1d".to_vec()), Message::Detached]));
    assert_eq!(done.stderr, "tinyd: detached; the command runs on, and what it writes goes nowhere\n");
}

#[test]
fn a_file_is_not_watched_for_keys() {
    let (sender, received) = channel();
    let bench = Bench::new().with_input(b"a\x1db").with_command(move |command| {
        sender.send(command.input()).expect("send");
        command.exit(0);
    });
    assert_eq!(bench.run("exec -i c1 cat").code, 0);
    assert_eq!(received.recv().expect("input"), b"a\x1db");
}

#[test]
fn attaching_says_the_size_and_what_was_missed() {
    let (_main, slave) = terminal();
    let bench = Bench::new().with_stdin(slave).with_command(|command| {
        command.stdout(b"a");
        command.lose(1_000);
        command.stdout(b"b");
        command.lose(24);
        command.exit(9);
    });
    *bench.engine.tty.lock().expect("lock") = true;
    let done = bench.run("attach c1");
    assert_eq!((done.code, done.stdout.as_str()), (9, "ab"));
    assert!(
        done.stderr.starts_with("tinyd: note: 1024 bytes of the command's output are missing: "),
        "{}",
        done.stderr
    );
    let window = "Some(WindowSize { rows: 40, columns: 120 })";
    assert_eq!(bench.engine.calls(), ["inspect c1".to_owned(), format!("attach c1 true {window}")]);
    let bench = Bench::new().with_command(|command| command.exit(0));
    assert_eq!(bench.run("attach --no-stdin c1").code, 0);
    assert_eq!(bench.engine.calls(), ["inspect c1", "attach c1 false None"]);
    assert_eq!(Bench::new().run("attach nobody").code, 125);
}

#[test]
fn a_signal_that_is_not_passed_on_ends_the_session_alone() {
    let (sender, received) = channel();
    let bench = Bench::new().with_command(move |command| {
        sender.send(command.receive()).expect("send");
    });
    let done = bench.run_raising("attach --no-stdin --sig-proxy=false c1", Signal::SIGTERM);
    assert_eq!((done.code, received.recv().expect("left")), (143, Some(Message::Detached)));
    assert!(bench.engine.calls().iter().all(|call| !call.starts_with("kill")), "{:?}", bench.engine.calls());
    for bad in ["--sig-proxy=maybe", "--detach-keys=ctrl-1", "--detach-keys=ab"] {
        assert_eq!(Bench::new().run(&format!("attach {bad} c1")).code, 125, "{bad}");
    }
    let bench = Bench::new().with_command(|command| command.exit(3));
    assert_eq!(bench.run("run --sig-proxy host true").code, 3, "a value is no word of the command");
}
