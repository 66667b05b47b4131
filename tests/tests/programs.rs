//! Real programs run as on a machine of their own, with and without a user namespace.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tinyd_tests::proc;
use tinyd_tests::{Env, Output, eventually, require, roots, wait_until};

const MODES: [&str; 2] = ["auto", "host"];

/// Runs a script by the image's shell and requires that it succeeds.
#[track_caller]
fn script(env: &Env, userns: &str, image: &Path, text: &str) -> Output {
    env.tinyd(["run", "--rm", "--userns", userns, image.to_str().unwrap(), "sh", "-ec", text]).ok()
}

/// What must fail: `!` before a command would hide it from `sh -e`.
const NOT: &str = r#"not() { if "$@"; then echo "this succeeded: $*"; exit 1; fi; }"#;

/// Runs a script that tests each of its steps itself, in both modes: the shell ends at the first that fails.
#[track_caller]
fn in_both(image: &Path, text: &str) {
    for userns in MODES {
        let output = script(&Env::new(), userns, image, &format!("{NOT}\n{text}\necho done"));
        assert!(output.stdout().ends_with("done\n"), "--userns {userns}\n{output}");
    }
}

#[test]
fn a_static_busybox_runs_its_tools() {
    require!(root);
    require!(program);
    let text = "
        test \"$(seq 10 | awk '{ s += $1 } END { print s }')\" = 55
        test \"$(echo hello | tr a-z A-Z | sed s/LL/--/)\" = HE--O
        mkdir /tmp/d; echo data > /tmp/d/f; tar -C /tmp -cf /tmp/t.tar d; rm -r /tmp/d
        tar -C /tmp -xf /tmp/t.tar; test \"$(cat /tmp/d/f)\" = data
        gzip /tmp/t.tar; gunzip /tmp/t.tar.gz; md5sum /tmp/t.tar > /tmp/sum; md5sum -c /tmp/sum > /dev/null
        (sleep 100 & kill $!; wait $! || test $? = 143)
        ps | grep -q 'sh -ec'";
    in_both(&roots::busybox(), text);
}

#[test]
fn bash_of_a_debian_root_has_what_bash_needs() {
    require!(root);
    require!(program);
    let text = r#"bash -euc '
        read -r word rest < <(echo one two)
        [[ $word = one && $rest = two ]]
        declare -A map=([a]=1 [b]=2); (( map[a] + map[b] == 3 ))
        coproc CAT { cat; }; echo ping >&"${CAT[1]}"; read -r -u "${CAT[0]}" answer; [[ $answer = ping ]]
        trap "caught=yes" USR1; kill -USR1 $$; [[ $caught = yes ]]
        [[ $(cat <<<"a here string") = "a here string" ]]
        diff <(printf "1\n2\n") <(seq 2)
        exec {fd}<>/tmp/f; echo x >&"$fd"; [[ $(cat /tmp/f) = x ]]'"#;
    in_both(&roots::debian(), text);
}

/// Asks a Redis in a container until it answers.
fn redis(env: &Env, container: &str, words: &[&str]) -> String {
    let command = ["exec", container, "redis-cli"].into_iter().chain(words.iter().copied());
    env.tinyd(command).text()
}

/// T38.
#[test]
fn redis_answers_a_ping_and_keeps_what_it_is_told() {
    require!(root);
    require!(program);
    for userns in MODES {
        let env = Env::new();
        let image = roots::redis();
        let options = ["run", "-d", "--name", "redis", "--userns", userns, image.to_str().unwrap()];
        let command = ["redis-server", "--dir", "/var/lib/redis", "--appendonly", "yes"];
        env.tinyd(options.into_iter().chain(command)).ok();
        wait_until("redis answers", || redis(&env, "redis", &["ping"]) == "PONG");
        assert_eq!(redis(&env, "redis", &["set", "key", "a value"]), "OK");
        assert_eq!(redis(&env, "redis", &["get", "key"]), "a value");
        // What it keeps is its own file system's: it is there after a stop and a start.
        env.tinyd(["stop", "redis"]).ok();
        env.tinyd(["start", "redis"]).ok();
        wait_until("redis answers again", || redis(&env, "redis", &["ping"]) == "PONG");
        assert_eq!(redis(&env, "redis", &["get", "key"]), "a value");
        assert!(!image.join("var/lib/redis/appendonlydir").exists(), "the image was written to");
    }
}

/// T38 in the seed's own form: `-i IMAGE`, detached without being told so.
#[test]
fn redis_runs_as_the_seed_starts_it_and_as_its_own_user() {
    require!(root);
    require!(program);
    let env = Env::new();
    let image = roots::redis();
    let image = image.to_str().unwrap();
    let limits = ["--cpu", "100000", "--mem", "500m", "--name", "c1", "-u", "redis", "-w", "/tmp"];
    let options = ["run", "-i", image].into_iter().chain(limits);
    env.tinyd(options.chain(["/usr/bin/redis-server", "--save", ""])).ok();
    wait_until("redis answers", || redis(&env, "c1", &["ping"]) == "PONG");
    let user = env.tinyd(["exec", "c1", "sh", "-c", "stat -c %U /proc/1"]).ok();
    assert_eq!(user.text(), "redis");
}

#[test]
fn a_server_goes_on_when_its_client_is_gone() {
    require!(root);
    require!(program);
    for userns in MODES {
        let env = Env::new();
        let image = roots::redis();
        let options = ["run", "--name", "redis", "--userns", userns, image.to_str().unwrap()];
        let mut client = env.cmd(options.into_iter().chain(["redis-server", "--save", ""])).spawn();
        client.expect("Ready to accept connections");
        assert_eq!(redis(&env, "redis", &["set", "key", "kept"]), "OK");
        let pid = pid_of(&env, "redis");
        client.signal(Signal::KILL);
        assert_eq!(client.wait().signal(), Some(9));
        // A server that logs would be stopped by a full or broken pipe: it is made to say more than a pipe holds.
        let talk = "for i in 1 2 3; do seq 20000 > /proc/1/fd/1; done";
        env.cmd(["exec", "redis", "sh", "-c", talk]).limit(Duration::from_secs(20)).output().ok();
        assert_eq!(redis(&env, "redis", &["get", "key"]), "kept");
        assert_eq!(pid_of(&env, "redis"), pid);
        assert!(proc::is_alive(pid));
    }
}

fn pid_of(env: &Env, container: &str) -> i32 {
    let inspected = env.tinyd(["inspect", container]).ok().json();
    i32::try_from(inspected[0]["State"]["Pid"].as_i64().unwrap()).unwrap()
}

#[test]
fn gcc_compiles_and_runs_a_program_in_an_interactive_session() {
    require!(root);
    require!(program);
    require!(command "/usr/bin/gcc");
    for userns in MODES {
        let env = Env::new();
        let mut session =
            env.pty(["run", "-it", "--rm", "--userns", userns, "host", "bash", "--norc"], 40, 120);
        session.send("PS1='rea''dy> '; stty -echo; cd /tmp\n");
        session.expect("ready> ");
        let source = "#include <stdio.h>\nint main(void) { printf(\"%d from C\\n\", 6 * 7); return 9; }\n";
        session.send(format!("cat > a.c <<'END'\n{source}END\n"));
        session.send("gcc -O2 -Wall -o a a.c && ./a; echo ended with $?\n");
        session.expect("42 from C");
        session.expect("ended with 9");
        session.send("gcc -o broken /etc/hostname; echo refused with $?\n");
        session.expect("refused with 1");
        session.send("exit 3\n");
        let (status, text) = session.wait();
        assert_eq!(status.code(), Some(3), "{text}");
    }
}

#[test]
fn python_and_perl_of_the_host_run_with_their_libraries() {
    require!(root);
    require!(program);
    require!(command "/usr/bin/python3");
    require!(command "/usr/bin/perl");
    let text = r#"
        /usr/bin/python3 -c '
import ctypes, json, multiprocessing, ssl, sqlite3, subprocess, tempfile, threading
lock = multiprocessing.Lock()
with multiprocessing.Pool(2) as pool:
    assert pool.map(abs, [-1, -2]) == [1, 2]
assert subprocess.check_output(["sh", "-c", "echo x"]) == b"x\n"
with tempfile.TemporaryDirectory() as folder:
    base = sqlite3.connect(folder + "/base")
    base.execute("create table t (x)"); base.execute("insert into t values (7)"); base.commit()
    assert base.execute("select x from t").fetchone() == (7,)
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
'
        perl -MFile::Temp=tempfile -MPOSIX=getuid -e 'my ($h, $n) = tempfile(); print $h "x"; close $h; die unless -s $n == 1 && getuid() == 0'"#;
    in_both(Path::new("host"), text);
}

#[test]
fn su_and_other_setuid_programs_change_their_user() {
    require!(root);
    require!(program);
    let text = r#"
        grep -q 'NoNewPrivs:.0' /proc/self/status
        useradd -m -u 1234 ann
        test "$(su ann -c 'id -un; pwd' | tr '\n' ' ')" = 'ann /root ' || test "$(su - ann -c 'id -un; pwd' | tr '\n' ' ')" = 'ann /home/ann '
        su ann -c 'touch /home/ann/mine'; test "$(stat -c %u:%g /home/ann/mine)" = 1234:1234
        not su ann -c 'touch /root/hers' 2>/dev/null
        not su ann -c 'cat /etc/shadow' 2>/dev/null
        cp /usr/bin/id /usr/local/bin/rootid; chmod 4755 /usr/local/bin/rootid
        test "$(su ann -c '/usr/local/bin/rootid -u')" = 0
        test "$(su ann -c '/usr/local/bin/rootid -ru')" = 1234
        echo root:secret | chpasswd; su ann -c 'echo secret | su root -c id' 2>/dev/null | grep -q 'uid=0(root)'"#;
    in_both(&roots::debian(), text);
}

#[test]
fn a_package_is_built_installed_and_removed_by_dpkg() {
    require!(root);
    require!(program);
    let image = roots::debian();
    let text = r#"
        mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin /tmp/p/etc/own /tmp/p/var/lib/own; cd /tmp
        printf 'Package: own\nVersion: 1\nArchitecture: all\nMaintainer: me <me@example.org>\nDescription: x\n' > p/DEBIAN/control
        echo /etc/own/conf > p/DEBIAN/conffiles; echo x > p/etc/own/conf
        printf '#!/bin/sh\nset -e\nchown 33:33 /var/lib/own\nchmod 2750 /var/lib/own\n' > p/DEBIAN/postinst
        printf '#!/bin/sh\necho from a package\n' > p/usr/bin/own; chmod 755 p/usr/bin/own p/DEBIAN/postinst
        dpkg-deb --build --root-owner-group p own.deb > /dev/null
        dpkg -i own.deb > /dev/null 2>&1
        test "$(own)" = 'from a package'
        test "$(stat -c %u:%g:%a /var/lib/own)" = 33:33:2750
        dpkg -i own.deb > /dev/null 2>&1
        dpkg --purge own > /dev/null 2>&1
        not test -e /usr/bin/own; not test -e /etc/own"#;
    in_both(&image, text);
    assert!(!image.join("usr/bin/own").exists() && !image.join("var/lib/own").exists());
}

/// What unpacking and upgrading programs do to files that lie in the image.
const FILE_WORK: &str = r#"
    echo new > /usr/bin/added; chmod 755 /usr/bin/added
    ln /usr/bin/env /usr/bin/env2; test "$(stat -c %i /usr/bin/env)" = "$(stat -c %i /usr/bin/env2)"
    ln -s env /usr/bin/env3; test "$(readlink /usr/bin/env3)" = env
    mv /usr/share/locale /usr/share/moved; not test -e /usr/share/locale; test -d /usr/share/moved
    mkdir -p /usr/share/locale; test -z "$(ls /usr/share/locale)"
    cp -a /usr/bin/env2 /usr/bin/env4; mv /usr/bin/env4 /usr/bin/env; rm /usr/bin/env2 /usr/bin/env3; env true
    rm -rf /usr/share/moved; not test -e /usr/share/moved
    cd /tmp
    chown 1000:1000 /usr/bin/added; test "$(stat -c %u:%g /usr/bin/added)" = 1000:1000
    touch f; chown 65534:65534 f; test "$(stat -c %u:%g f)" = 65534:65534
    chown 1:2 /etc/hostname /etc/passwd; test "$(stat -c %u:%g /etc/passwd)" = 1:2
    mkdir -p t/d; echo 1 > t/d/one; chown 1000:33 t/d/one; chmod 4711 t/d/one; mkfifo t/pipe; ln -s d/one t/link
    ln t/d/one t/hard; chown -h 7:8 t/link
    tar --numeric-owner -cf t.tar t; mkdir out; tar --numeric-owner --same-owner -xpf t.tar -C out
    test "$(stat -c %u:%g:%a:%h out/t/d/one)" = 1000:33:4711:2; test -p out/t/pipe
    test "$(stat -c %u:%g out/t/link)" = 7:8
    dd if=/dev/zero of=sparse bs=1 count=1 seek=10M 2>/dev/null; test "$(stat -c %b sparse)" -lt 64
    touch -d 2001-02-03 old; test "$(date -r old +%Y)" = 2001
    not mknod x c 1 3 2>/dev/null; not mknod x b 8 0 2>/dev/null; not test -e x"#;

#[test]
fn files_are_linked_renamed_owned_and_unpacked() {
    require!(root);
    require!(program);
    in_both(&roots::debian(), FILE_WORK);
    assert!(roots::debian().join("usr/share/locale").is_dir());
    in_both(Path::new("host"), FILE_WORK);
    assert!(Path::new("/usr/share/locale").is_dir() && !Path::new("/usr/bin/added").exists());
}

#[test]
fn a_program_with_file_capabilities_has_them() {
    require!(root);
    require!(program);
    require!(command "/usr/sbin/setcap");
    // The bounding set of a container has this one; the user has none of root's rights else.
    let text = r#"
        cp /usr/bin/cat /usr/local/bin/seer; setcap cap_dac_override+ep /usr/local/bin/seer
        getcap /usr/local/bin/seer | grep -q 'cap_dac_override=ep'
        echo secret > /root/s; chmod 600 /root/s; chmod 700 /root
        as() { setpriv --reuid 1000 --regid 1000 --clear-groups "$@"; }
        not as cat /root/s 2>/dev/null
        test "$(as /usr/local/bin/seer /root/s)" = secret
        cp /usr/local/bin/seer /usr/local/bin/plain; not as /usr/local/bin/plain /root/s 2>/dev/null"#;
    in_both(Path::new("host"), text);
}

#[test]
fn programs_speak_by_locks_mappings_sockets_pipes_and_queues() {
    require!(root);
    require!(program);
    require!(command "/usr/bin/python3");
    let text = r#"
        cd /tmp
        test "$(df --output=target /dev/shm | tail -1)" = /dev/shm; test "$(stat -c %a /dev/shm)" = 1777
        /usr/bin/python3 - <<'END'
import ctypes, fcntl, mmap, os, socket
from multiprocessing import shared_memory
a = open("lock", "w"); b = open("lock", "w")
fcntl.flock(a, fcntl.LOCK_EX)
try: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB); raise SystemExit("two hold a lock")
except BlockingIOError: pass
f = open("mapped", "w+b"); f.truncate(8192)
m = mmap.mmap(f.fileno(), 8192); m[4096:4099] = b"abc"; m.flush()
assert open("mapped", "rb").read()[4096:4099] == b"abc"
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC); code.close()
server = socket.socket(socket.AF_UNIX); server.bind("s"); server.listen()
client = socket.socket(socket.AF_UNIX); client.connect("s"); peer, _ = server.accept()
client.send(b"hi"); assert peer.recv(2) == b"hi"
pid, uid, gid = __import__("struct").unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
assert (pid, uid, gid) == (os.getpid(), 0, 0), (pid, uid, gid)
tcp = socket.create_server(("127.0.0.1", 0)); socket.create_connection(tcp.getsockname())
os.mkfifo("fifo")
if os.fork() == 0:
    open("fifo", "w").write("through"); os._exit(0)
assert open("fifo").read() == "through"; os.wait()
shared = shared_memory.SharedMemory(create=True, size=1 << 20); shared.buf[0] = 7
assert os.path.exists("/dev/shm/" + shared.name.lstrip("/")); shared.close(); shared.unlink()
c = ctypes.CDLL(None, use_errno=True)
queue = c.mq_open(b"/queue", os.O_CREAT | os.O_RDWR, 0o600, None); assert queue >= 0, ctypes.get_errno()
assert os.path.exists("/dev/mqueue/queue")
buffer = ctypes.create_string_buffer(8192)
assert c.mq_send(queue, b"word", 4, 0) == 0 and c.mq_receive(queue, buffer, 8192, None) == 4 and buffer.value == b"word"
assert c.semget(0x1234, 1, 0o1600) >= 0 and c.shmget(0x1234, 4096, 0o1600) >= 0
memory = os.memfd_create("m"); os.write(memory, b"x"); assert open(f"/proc/self/fd/{memory}").read() == "x"
child = os.pidfd_open(os.getpid()); os.close(child)
watch = c.inotify_init(); assert c.inotify_add_watch(watch, b"/tmp", 0x100) >= 0
END"#;
    in_both(Path::new("host"), text);
}

/// As the images of nginx and httpd do: their log files are links to these.
#[test]
fn a_user_opens_his_output_by_name() {
    require!(root);
    require!(program);
    let image = roots::debian();
    let image = image.to_str().unwrap();
    let text = "ln -s /dev/stdout /tmp/access.log; echo to the log > /tmp/access.log
        echo to output >> /dev/stdout; echo to error > /dev/stderr; echo to a number > /proc/self/fd/2; id -u";
    for userns in MODES {
        for user in ["0", "1000", "1000:33", "nobody"] {
            let env = Env::new();
            let options = ["run", "--rm", "--userns", userns, "-u", user, image];
            let output = env.tinyd(options.into_iter().chain(["sh", "-ec", text])).ok();
            let id = match user {
                "nobody" => "65534",
                other => &other[..other.find(':').unwrap_or(other.len())],
            };
            assert_eq!(
                output.stdout(),
                format!("to the log\nto output\n{id}\n"),
                "{userns} {user}\n{output}"
            );
            assert_eq!(output.stderr(), "to error\nto a number\n", "{userns} {user}");
        }
    }
}

/// The same for a further command, and on a terminal.
#[test]
fn a_user_opens_his_output_by_name_in_exec_and_on_a_terminal() {
    require!(root);
    require!(program);
    let image = roots::debian();
    let image = image.to_str().unwrap();
    for userns in MODES {
        let env = Env::new();
        env.tinyd(["run", "-d", "--name", "c", "--userns", userns, image, "sleep", "1000"]).ok();
        let text = "echo out > /dev/stdout; echo err > /dev/stderr";
        let output = env.tinyd(["exec", "-u", "1000", "c", "sh", "-ec", text]).ok();
        assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("out\n", "err\n"));
        let text = "echo t1 > /dev/stdout; echo t2 > /dev/tty; echo t3 > $(tty)";
        let session = env.pty(
            ["run", "--rm", "-it", "--userns", userns, "-u", "1000", image, "sh", "-ec", text],
            24,
            80,
        );
        let (status, shown) = session.wait();
        assert!(status.success() && ["t1", "t2", "t3"].iter().all(|word| shown.contains(word)), "{shown}");
    }
}

/// A server that has forked its work is stopped whole, whoever holds its output.
#[test]
fn a_tree_of_processes_ends_with_the_first() {
    require!(root);
    require!(program);
    let image = roots::busybox();
    for userns in MODES {
        let env = Env::new();
        let text = "setsid sleep 1000 & (sleep 1000 & sleep 1000 &) ; echo started; exit 4";
        let options = ["run", "--rm", "--userns", userns, image.to_str().unwrap(), "sh", "-c", text];
        let output = env.cmd(options).limit(Duration::from_secs(10)).output().fails(4);
        assert_eq!(output.stdout(), "started\n");
        assert!(eventually(Duration::from_secs(5), || env.leaks().is_empty().then_some(())).is_some());
    }
}

#[test]
fn the_image_of_a_debian_root_is_never_changed() {
    require!(root);
    require!(program);
    let image = roots::debian();
    let before = state_of(&image);
    let text =
        "rm -rf /var/lib/dpkg /etc/passwd /usr/share/*; echo x > /new; chmod 700 /usr/bin; touch /bin/sh";
    for userns in MODES {
        script(&Env::new(), userns, &image, text);
    }
    assert_eq!(state_of(&image), before);
}

/// Owners, modes and times of the places that the script changes.
fn state_of(image: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let names =
        ["", "usr/bin", "usr/share", "etc/passwd", "var/lib/dpkg", "var/lib/dpkg/status", "usr/bin/dash"];
    let of = |name: &&str| {
        let found = fs::symlink_metadata(image.join(name)).unwrap();
        format!(
            "{name} {}:{} {:o} {} {}",
            found.uid(),
            found.gid(),
            found.mode(),
            found.mtime(),
            found.ctime()
        )
    };
    names.iter().map(of).collect()
}
