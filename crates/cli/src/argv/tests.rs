use super::{Form, normalise};

fn pass(verb: &str, line: &str) -> String {
    let entry = crate::cmd::find(verb).expect("a verb");
    normalise(&entry.command(), entry.form, line.split_whitespace().map(str::to_owned).collect()).join(" ")
}

#[test]
fn run() {
    for (written, becomes) in [
        // Interactive and terminal, however it is written.
        ("-it host sh", "--interactive --tty -- host sh"),
        ("-ti host sh", "--tty --interactive -- host sh"),
        ("--it host sh", "--interactive --tty -- host sh"),
        ("-i -t host sh", "--interactive --tty -- host sh"),
        ("-t -i host sh", "--tty --image=host -- sh"),
        ("-dit host sh", "--detach --interactive --tty -- host sh"),
        ("-itm100m host sh", "--interactive --tty --memory=100m -- host sh"),
        ("-ite A=B host sh", "--interactive --tty --env=A=B -- host sh"),
        // The image letter.
        (
            "-i /root/redis --cpu 10000 --mem 500m --name c1 /bin/sleep 3000",
            "--image=/root/redis --cpu=10000 --memory=500m --name=c1 -- /bin/sleep 3000",
        ),
        ("-i host cat", "--image=host -- cat"),
        ("-i=host cat", "--image=host -- cat"),
        ("-i host --it sh", "--image=host --interactive --tty -- sh"),
        ("--it -i host sh", "--interactive --tty --image=host -- sh"),
        ("-i --rm host cat", "--interactive --rm -- host cat"),
        ("-i -- host cat", "--interactive -- host cat"),
        ("-i", "--interactive"),
        ("-i -i host cat", "--interactive --image=host -- cat"),
        ("-i host -i cat", "--image=host --interactive -- cat"),
        ("--image host -i cat", "--image=host --interactive -- cat"),
        // One dash before a long name.
        (
            "-name c1 -net none -mem 1g -cpu 20000 host true",
            "--name=c1 --network=none --memory=1g --cpu=20000 -- host true",
        ),
        ("-name=c1 host true", "--name=c1 -- host true"),
        ("-env=1 host true", "--env=nv=1 -- host true"),
        // Aliases, and values of every spelling.
        (
            "--net host --v /a:/b -v/c:/d --volume=/e:/f host true",
            "--network=host --volume=/a:/b --volume=/c:/d --volume=/e:/f -- host true",
        ),
        ("-m=1g --mem 2g --memory=3g host true", "--memory=1g --memory=2g --memory=3g -- host true"),
        ("--pids-limit -1 host true", "--pids-limit=-1 -- host true"),
        (
            "-p 8080:80 -p127.0.0.1:53:53/udp host true",
            "--publish=8080:80 --publish=127.0.0.1:53:53/udp -- host true",
        ),
        (
            "-i /root/redis --name c1 -p 8080:80 /bin/sleep 3",
            "--image=/root/redis --name=c1 --publish=8080:80 -- /bin/sleep 3",
        ),
        ("--entrypoint= host true", "--entrypoint= -- host true"),
        ("-e -x host true", "--env=-x -- host true"),
        // The command's own options are not ours.
        (
            "-ti -m 100m host stress --vm-bytes 200m --vm-keep -m 1",
            "--tty --interactive --memory=100m -- host stress --vm-bytes 200m --vm-keep -m 1",
        ),
        ("host sh -it --rm -- -i", "-- host sh -it --rm -- -i"),
        ("--rm -- -odd -i x", "--rm -- -odd -i x"),
        ("- x", "-- - x"),
        // What is not known is for the parser to complain of.
        ("--nonsense host", "--nonsense -- host"),
        ("-iX host", "-iX -- host"),
        ("--name", "--name"),
        ("--rm=yes host true", "--rm=yes -- host true"),
        ("-h", "-h"),
    ] {
        assert_eq!(pass("run", written), becomes, "run {written}");
    }
}

#[test]
fn exec_has_no_image() {
    for (written, becomes) in [
        ("-it c1 sh -i", "--interactive --tty -- c1 sh -i"),
        ("-i c1 cat", "--interactive -- c1 cat"),
        ("--it -u 1 -w /tmp c1 ls -l", "--interactive --tty --user=1 --workdir=/tmp -- c1 ls -l"),
        ("-d -e A=1 c1 true", "--detach --env=A=1 -- c1 true"),
    ] {
        assert_eq!(pass("exec", written), becomes, "exec {written}");
    }
}

#[test]
fn create_is_as_run_and_the_others_are_left_alone() {
    assert_eq!(pass("create", "-i host -name c1 true"), "--image=host --name=c1 -- true");
    assert_eq!(pass("stop", "c1 -t 5"), "c1 -t 5");
    assert_eq!(crate::cmd::find("start").map(|entry| entry.form), Some(Form::Mixed));
}

#[test]
fn words_are_passed_on_exactly() {
    let entry = crate::cmd::find("run").expect("run");
    let words = ["host", "sh", "-c", "echo \"a  b\"", "", "ünï\n"].map(str::to_owned);
    let done = normalise(&entry.command(), entry.form, words.to_vec());
    assert_eq!(done[1..], words);
}
