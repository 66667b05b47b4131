//! The whole life of a container on a bridged network, with a published port; and how many can be started a second.

use std::path::Path;

use anyhow::Result;
use tinyd_tests::Env;

use super::contender::{Contender, Suite, Words, words};
use super::peers::{Dockerd, Podman};
use super::{floor, ground, parallel, word};

const NOTES: &str = "\
All of it happens in a network namespace of the bench's own.
floor: a static C program with the same namespaces (user too), cgroups, overlay, mounts, a pair of links on a bridge with an
address and a route, and nothing else: no rule, no port, no name, no record.
tinyd: run --rm -p on its default network: leased address, nftables, names, conntrack; the sandbox and the exit record besides.
podman: netavark and runc; docker: its daemon runs already, with runc. Both with their images in their own stores.";

const COMMAND: &str = "/bin/true";

/// What takes tinyd's default network away.
const REMOVE: [&str; 3] = ["network", "rm", "tinyd"];

/// The floor's network.
const BRIDGE: (&str, &str) = ("tinydbench", "10.254.77.1/24");
const PLACE: &str = "tinydbench,10.254.77.2,24,10.254.77.1";

pub(super) fn suite(env: &Env, image: &Path) -> Result<Suite> {
    ground::bridge(BRIDGE.0, BRIDGE.1)?;
    let dockerd = Dockerd::start(env, image)?;
    let podman = Podman::prepare(env, image)?;
    let contenders = vec![
        Contender {
            name: "bridged floor",
            words: floor::words(env, image, COMMAND, PLACE)?,
            ..Contender::default()
        },
        ours(env, image, "tinyd", &["-p", "18080:80"]),
        Contender {
            last: Some(env.cmd(REMOVE).words().to_vec()),
            ..ours(env, image, "tinyd without port", &[])
        },
        peer("podman", podman.run("18081:80", COMMAND)),
        peer("docker", dockerd.run("18082:80", COMMAND)),
    ];
    Ok(Suite {
        title: "busybox `true` on a bridge with a published port, from start to end",
        contenders,
        by: ["bridged floor", "podman"],
        notes: NOTES,
        keep: vec![Box::new(dockerd)],
    })
}

/// Starts a second, eight at a time.
pub(super) fn side_by_side(env: &Env, image: &Path) -> Result<()> {
    let dockerd = Dockerd::start(env, image)?;
    let podman = Podman::prepare(env, image)?;
    let any_port = "80";
    let compared = parallel::compare(&[
        ours(env, image, "tinyd", &["-p", any_port]),
        peer("podman", podman.run(any_port, COMMAND)),
        peer("docker", dockerd.run(any_port, COMMAND)),
    ]);
    env.tinyd(REMOVE).ok();
    compared
}

fn ours(env: &Env, image: &Path, name: &'static str, options: &[&str]) -> Contender {
    let mut line: Words = words(["run", "--rm", "--net", "tinyd"]);
    line.extend(options.iter().map(Into::into));
    line.extend([word(image), COMMAND.into()]);
    Contender { name, words: env.cmd(line).words().to_vec(), ..Contender::default() }
}

fn peer(name: &'static str, words: Words) -> Contender {
    Contender { name, is_peer: true, words, ..Contender::default() }
}
