//! Names and ids: what a container may be called, and which words find it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeMap;
use tinyd_tests::{Env, require, roots};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn create(env: &Env, name: &str) -> String {
    env.tinyd(["create", "--name", name, &image(), "true"]).ok().text()
}

/// The id that a word finds.
fn found(env: &Env, word: &str) -> String {
    env.tinyd(["inspect", "-f", "{{.Id}}", word]).ok().text()
}

#[test]
fn a_second_use_of_a_name_is_refused() {
    require!(root);
    let env = Env::new();
    let image = image();
    let id = create(&env, "c1");
    for words in [&["create"][..], &["run"], &["run", "-d"], &["run", "--rm"]] {
        let all = words.iter().copied().chain(["--name", "c1", &image, "true"]);
        let output = env.tinyd(all).fails(125);
        assert_eq!(output.stdout(), "", "{output}");
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
        assert!(output.stderr().contains("\"c1\" is taken by container"), "{output}");
        assert!(output.stderr().contains(&id[..12]), "it says whose it is: {output}");
    }
    assert_eq!(env.containers().len(), 1, "the refused left nothing");
    assert_eq!(found(&env, "c1"), id);
    env.tinyd(["rm", "c1"]).ok();
    create(&env, "c1");
}

#[test]
fn of_many_that_want_a_name_at_once_one_gets_it() {
    require!(root);
    let env = Env::new();
    let image = image();
    let wanted = || env.cmd(["create", "--name", "c1", &image, "true"]).spawn();
    let racing: Vec<_> = (0..8).map(|_| wanted()).collect();
    let outputs: Vec<_> = racing.into_iter().map(|running| running.wait()).collect();
    let got: Vec<_> = outputs.iter().filter(|output| output.code() == Some(0)).collect();
    assert_eq!(got.len(), 1, "{outputs:?}");
    assert_eq!(outputs.iter().filter(|output| output.code() == Some(125)).count(), 7, "{outputs:?}");
    assert_eq!(found(&env, "c1"), got[0].text());
    assert_eq!(env.containers().len(), 1);
}

#[test]
fn without_a_name_it_is_known_by_its_id() {
    require!(root);
    let env = Env::new();
    let id = env.tinyd(["create", &image(), "true"]).ok().text();
    assert_eq!(
        env.tinyd(["ps", "-a", "--format", "{{.ID}} {{.Names}}"]).ok().text(),
        format!("{0} {0}", &id[..12])
    );
    assert_eq!(env.tinyd(["inspect", "-f", "{{.Name}}", &id]).ok().text(), format!("/{id}"));
}

#[test]
fn names_that_could_be_anything_else_are_refused() {
    require!(root);
    let env = Env::new();
    let image = image();
    let long = "x".repeat(256);
    let id = "0123456789abcdef0123456789abcdef";
    for name in ["", ".", "..", "-a", "_a", "a/b", "a b", "ä", "../x", "a\n", "a:b", "$(id)", id, &long] {
        let output = env.tinyd(["create", &format!("--name={name}"), &image, "true"]).fails(125);
        assert_eq!(output.stderr().lines().count(), 1, "{name:?}: {output}");
        assert!(env.containers().is_empty(), "{name:?} left something");
    }
    for name in ["a", "0", "A.b_c-d", "host", "true", &"y".repeat(255)] {
        let id = create(&env, name);
        assert_eq!(found(&env, name), id);
    }
}

#[test]
fn the_beginning_of_an_id_finds_it_when_it_is_the_only_one() {
    require!(root);
    let env = Env::new();
    // Seventeen ids cannot all begin with different digits.
    let image = image();
    let ids: Vec<String> = (0..17).map(|_| env.tinyd(["create", &image, "true"]).ok().text()).collect();
    let mut by_digit: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    ids.iter().for_each(|id| by_digit.entry(&id[..1]).or_default().push(id));
    let (digit, several) = by_digit.iter().find(|(_, ids)| ids.len() > 1).unwrap();
    let output = env.tinyd(["inspect", digit]).fails(1);
    assert!(output.stderr().contains(&format!("fits {} containers", several.len())), "{output}");
    for id in several {
        assert!(output.stderr().contains(&id[..12]), "each candidate is named: {output}");
        assert_eq!(&found(&env, id), *id);
        assert_eq!(&found(&env, &id[..12]), *id);
    }
    assert!(
        env.tinyd(["rm", digit]).code() == Some(1) && env.containers().len() == 17,
        "none was taken for it"
    );
    assert!(env.tinyd(["inspect", ""]).code() == Some(1), "the empty word is nobody");
    assert!(
        env.tinyd(["inspect", &ids[0].to_uppercase()]).code() != Some(0) || ids[0].to_uppercase() == ids[0]
    );
}

#[test]
fn a_name_comes_before_the_beginning_of_an_id() {
    require!(root);
    let env = Env::new();
    let first = env.tinyd(["create", &image(), "true"]).ok().text();
    let named = create(&env, &first[..4]);
    assert_eq!(found(&env, &first[..4]), named);
    assert_eq!(found(&env, &first[..12]), first);
}

#[test]
fn who_mistypes_is_told_what_was_meant() {
    require!(root);
    let env = Env::new();
    create(&env, "webserver");
    let output = env.tinyd(["stop", "webservr"]).fails(1);
    assert!(output.stderr().contains("no container \"webservr\""), "{output}");
    assert!(output.stderr().contains("did you mean") && output.stderr().contains("webserver"), "{output}");
    let far = env.tinyd(["stop", "database"]).fails(1);
    assert!(!far.stderr().contains("did you mean"), "{far}");
    for word in ["../../etc", "a/b", "", "*", "webserver/", "WEBSERVER"] {
        env.tinyd(["inspect", word]).fails(1);
    }
}
