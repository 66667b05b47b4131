//! What the page shows of a single container, and of networks and volumes.
//!
//! Whoever has an account on this machine can read the page, so that of a container's environment only the names are told.

use super::Web;
use super::answer::Refusal;
use super::api::{json, milliseconds};
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Details<'a> {
    id: &'a str,
    name: &'a str,
    hostname: &'a str,
    user: &'a str,
    working_dir: &'a str,
    command: &'a [String],
    /// The names alone.
    environment: Vec<&'a str>,
    labels: &'a BTreeMap<String, String>,
    /// Why the last start failed.
    error: &'a str,
    addresses: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
struct Network<'a> {
    name: &'a str,
    driver: &'a str,
    subnets: &'a [String],
    internal: bool,
    containers: usize,
    labels: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Volume<'a> {
    name: &'a str,
    driver: &'a str,
    mountpoint: &'a str,
    anonymous: bool,
    containers: usize,
    created_ms: u64,
    labels: &'a BTreeMap<String, String>,
}

pub(super) async fn container(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let found = web.asker.ask(move |engine| engine.inspect(&id)).await?;
    let networks = &found.network_settings.networks;
    json(&Details {
        id: &found.id,
        name: found.name.trim_start_matches('/'),
        hostname: &found.config.hostname,
        user: &found.config.user,
        working_dir: &found.config.working_dir,
        command: &found.config.cmd,
        environment: found.config.env.iter().filter_map(|line| line.split('=').next()).collect(),
        labels: &found.config.labels,
        error: &found.state.error,
        addresses: networks.iter().map(|(name, place)| (name.as_str(), place.ip_address.as_str())).collect(),
    })
}

pub(super) async fn networks(State(web): State<Web>) -> Result<Response, Refusal> {
    let found = web.asker.ask(|engine| engine.networks()).await?;
    let shown = found.iter().map(|one| Network {
        name: &one.name,
        driver: &one.driver,
        subnets: &one.subnets,
        internal: one.internal,
        containers: one.containers,
        labels: &one.labels,
    });
    json(&BTreeMap::from([("networks", shown.collect::<Vec<_>>())]))
}

pub(super) async fn volumes(State(web): State<Web>) -> Result<Response, Refusal> {
    let found = web.asker.ask(|engine| engine.volumes()).await?;
    let shown = found.iter().map(|one| Volume {
        name: &one.name,
        driver: &one.driver,
        mountpoint: &one.mountpoint,
        anonymous: one.anonymous,
        containers: one.containers,
        created_ms: milliseconds(one.created),
        labels: &one.labels,
    });
    json(&BTreeMap::from([("volumes", shown.collect::<Vec<_>>())]))
}
