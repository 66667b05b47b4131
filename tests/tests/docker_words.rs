//! Words that Docker's users write: those that have no meaning here are taken, and those that have one mean the same.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::{Env, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn volumes(env: &Env, filter: &str) -> String {
    env.tinyd(["volume", "ls", "-q", "--filter", filter]).ok().stdout()
}

#[test]
fn how_fresh_files_must_be_is_no_question_here() {
    require!(root);
    let env = Env::new();
    let image = image();
    env.file("seen", "text\n");
    let here = env.files().to_str().unwrap().to_owned();
    for word in ["cached", "delegated", "consistent"] {
        let short = format!("{here}:/x:ro,{word}");
        let output = env.tinyd(["run", "--rm", "-v", &short, &image, "cat", "/x/seen"]).ok();
        assert_eq!((output.stdout(), output.stderr()), ("text\n".to_owned(), String::new()));
        let long = format!("type=bind,src={here},dst=/x,consistency={word}");
        let output = env.tinyd(["run", "--rm", "--mount", &long, &image, "cat", "/x/seen"]).ok();
        assert_eq!(output.stdout(), "text\n");
    }
    let output = env.tinyd(["create", "-v", &format!("{here}:/x:chached"), &image, "true"]).fails(125);
    assert!(output.stderr().contains("'chached' is none of these"), "{output}");
    env.assert_clean();
}

#[test]
fn a_volume_that_a_mount_makes_has_the_labels_that_it_names_and_is_pruned_by_them() {
    require!(root);
    let env = Env::new();
    let image = image();
    let run = |mount: &str| env.tinyd(["run", "--rm", "--mount", mount, &image, "true"]);
    run("src=a,dst=/x,volume-label=stage=test,volume-label=bare").ok();
    run("src=b,dst=/x,volume-label=stage=live").ok();
    // One that is there keeps those that it has.
    run("src=b,dst=/x,volume-label=stage=test").ok();
    assert_eq!(volumes(&env, "label=stage=test"), "a\n");
    assert_eq!(volumes(&env, "label=bare"), "a\n");
    env.tinyd(["create", "--name", "c1", "-v", "a:/x", &image, "true"]).ok();
    let prune = |filters: &[&str]| {
        let words = ["volume", "prune", "--all", "--force"].into_iter();
        env.tinyd(words.chain(filters.iter().flat_map(|filter| ["--filter", filter]))).ok().stdout()
    };
    assert_eq!(prune(&["label=stage=test"]), "", "a container uses it");
    env.tinyd(["rm", "c1"]).ok();
    assert_eq!(prune(&["label=stage=test", "label!=bare"]), "");
    assert_eq!(prune(&["label!=bare"]), "b\n");
    assert_eq!(prune(&["label=stage=test", "label=bare"]), "a\n");
    assert!(
        env.tinyd(["volume", "prune", "--all", "--force", "--filter", "until=1h"])
            .fails(2)
            .stderr()
            .contains("label=")
    );
    env.assert_clean();
}

#[test]
fn a_file_system_in_memory_that_cannot_be_is_refused_before_anything_is_made() {
    require!(root);
    let env = Env::new();
    let image = image();
    for (words, part) in [
        (["--tmpfs", "/x:size=banana"], "\"size=banana\" is no size"),
        (["--tmpfs", "/x:mode=789"], "\"mode=789\" is no octal mode"),
        (["--tmpfs", "/x:nr_inodes=few"], "\"nr_inodes=few\" is no number"),
        (["--tmpfs", "/x:uid=root"], "\"uid=root\" is no number of a user"),
        (["--mount", "type=tmpfs,dst=/x,tmpfs-mode=abc"], "\"mode=abc\" is no octal mode"),
    ] {
        for verb in ["run", "create"] {
            let output = env.tinyd([verb, words[0], words[1], &image, "true"]).fails(125);
            assert_eq!(output.stderr().lines().count(), 1, "{output}");
            assert!(output.stderr().contains(part), "no {part:?}: {output}");
            assert!(env.containers().is_empty(), "{output}");
        }
    }
    // All that passes can be mounted.
    let options = "/x:size=10%,mode=0750,nr_inodes=1k,uid=5,gid=6";
    let script = "stat -c '%a %u:%g' /x";
    let seen = env.tinyd(["run", "--rm", "--tmpfs", options, &image, "sh", "-c", script]).ok();
    assert_eq!(seen.stdout(), "750 5:6\n");
    let seen = env.tinyd(["run", "--rm", "--tmpfs", "/x:nr_blocks=4K", &image, "true"]).ok();
    assert_eq!(seen.stderr(), "");
    env.assert_clean();
}
