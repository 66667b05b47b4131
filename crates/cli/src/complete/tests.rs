use crate::testing::{Bench, summary};
use tinyd_engine::ContainerStatus;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// The words that are offered, and what stands in the last line. The last word of `line` is the one at the cursor; a space
/// at its end begins another one.
fn offered(bench: &Bench, line: &str) -> (Vec<String>, String) {
    let words = format!("__complete -- {line}");
    let words = words.split(' ').map(Into::into).collect();
    let done = bench.run_words(words);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{line}");
    let mut lines: Vec<_> =
        done.stdout.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect();
    let files = lines.pop().expect("a last line");
    (lines, files)
}

fn bench() -> Bench {
    let bench = Bench::new();
    let container = |name, status| summary(ID, Some(name), status, None);
    *bench.engine.containers.lock().expect("lock") = vec![
        container("web", ContainerStatus::Running),
        container("worker", ContainerStatus::Paused),
        container("old", ContainerStatus::Stopped),
    ];
    bench
}

#[test]
fn verbs_and_options_are_those_of_the_parser() {
    let bench = bench();
    let words = |line: &str| offered(&bench, line).0;
    assert_eq!(words("re"), ["restart", "rename"]);
    assert_eq!(words("network dis"), ["disconnect"]);
    assert!(words("").contains(&"run".to_owned()) && !words("").iter().any(|word| word.starts_with('_')));
    assert_eq!(words("--run"), ["--run-root", "--runtime"]);
    assert_eq!(words("--root /x res"), ["restart"]);
    assert_eq!(words("run --det"), ["--detach", "--detach-keys"]);
    assert!(words("run -").contains(&"--network".to_owned()));
    assert_eq!(words("system re"), ["restart-policies"], "what is hidden is not offered");
    assert!(words("nonsense ").is_empty());
}

#[test]
fn names_are_those_of_what_there_is_and_fits_the_verb() {
    let bench = bench();
    let words = |line: &str| offered(&bench, line).0;
    assert_eq!(words("exec "), ["web", "worker"]);
    assert_eq!(words("pause "), ["web"]);
    assert_eq!(words("unpause "), ["worker"]);
    assert_eq!(words("start "), ["old"]);
    assert_eq!(words("rm w"), ["web", "worker"]);
    assert_eq!(words("rm web o"), ["old"]);
    assert_eq!(words("stop -t 5 we"), ["web"], "the option's value is none of them");
    assert_eq!(words("rename web "), [""; 0], "a new name cannot be known");
    assert_eq!(words("secret rm "), ["db", "key"]);
    assert!(words("run --network ").contains(&"none".to_owned()));
    assert!(words("run --network=no").contains(&"--network=none".to_owned()));
    assert_eq!(words("kill --signal US"), ["USR1", "USR2"]);
    assert_eq!(words("kill -s US"), ["USR1", "USR2"]);
    assert_eq!(words("completion "), ["bash", "zsh", "fish"]);
    assert_eq!(words("cp we"), ["web:"]);
}

#[test]
fn files_are_offered_where_they_are_meant() {
    let bench = bench();
    let files = |line: &str| offered(&bench, line).1;
    assert_eq!(files("run "), ":folders");
    assert_eq!(offered(&bench, "run h").0, ["host"]);
    assert_eq!(files("run host "), ":files");
    assert_eq!(files("exec web "), ":files");
    assert_eq!(files("run --env-file "), ":files");
    assert_eq!(files("run -v "), ":folders");
    assert_eq!(files("stop "), ":none");
    // Behind the image all words are the container's.
    assert_eq!(offered(&bench, "run host sh --"), (Vec::new(), ":files".to_owned()));
}

#[test]
fn a_line_has_one_word_and_what_it_is() {
    let done = bench().run_words(["__complete", "--", "exec", "web"].map(Into::into).to_vec());
    assert_eq!(done.stdout.lines().next(), Some("web\t/root/redis (running)"));
    assert!(bench().run("completion bash").stdout.contains("complete -F _tinyd tinyd"));
    assert_eq!(bench().run("completion csh").code, 2);
}
