//! A container's place on a network of plugins.

use super::chain::{Chain, Place};
use super::config::List;
use super::derive::{self, capability};
use super::error::CniError;
use super::options::{self, Made};
use super::record::{Key, Record, make_folder};
use super::{CniDriver, answer, error_of, pin, ports};
use crate::link::Links;
use crate::{EndpointSpec, EndpointState, Error, Interface, Netns, NetworkSpec, Result, Undo, netns};
use std::fs;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// What a container's link is called where nothing else is asked for.
const INTERFACE: &str = "eth0";

/// Connects a container, or leaves nothing.
pub(super) fn attach(
    driver: &CniDriver,
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    netns: &dyn Netns,
) -> Result<EndpointState> {
    let made = options::made(network)?;
    check(network, &made.list, wanted)?;
    let interface = if wanted.interface.is_empty() { INTERFACE } else { &wanted.interface };
    let key = Key { container: wanted.container.clone(), interface: interface.to_owned() };
    let failed = error_of(network);
    // What an earlier run left: plugins refuse a second ADD.
    if driver.records.path(&network.name, &key).exists() {
        leave(driver, network, &made, &key)?;
    }
    let record = begin(driver, network, &made, wanted, &key)?;
    let result = join(driver, network, &made, wanted, &key, record, netns);
    let (record, got) = result.inspect_err(|_| {
        // Where that fails too, the record stays, and with it what `held_for` knows.
        let _ = leave(driver, network, &made, &key);
    })?;
    let mut undo = Vec::new();
    let pin = driver.pin(network, &key);
    let path = pin.to_string_lossy();
    let chain = driver.chain(&made);
    for call in chain.del_calls(Place { key: &key, netns: &path, record: &record }) {
        // It was there a moment ago.
        let call = call.map_err(&failed)?;
        undo.push(Undo::Run {
            program: call.program,
            arguments: Vec::new(),
            environment: call.environment,
            stdin: call.config,
            strict: true,
        });
    }
    undo.push(Undo::Unpin(pin.clone()));
    undo.push(Undo::Unlink(driver.records.path(&network.name, &key)));
    Ok(EndpointState {
        container: key.container,
        interfaces: got.interfaces,
        name_servers: got.name_servers,
        ports: record.ports,
        undo,
        ..Default::default()
    })
}

/// Refuses what no plugin of the list would heed, before anything is made.
fn check(network: &NetworkSpec, list: &List, wanted: &EndpointSpec) -> Result<()> {
    let refuse = |what: &str, problem: String| {
        Err(Error::Invalid { network: network.name.clone(), what: what.to_owned(), problem: problem.into() })
    };
    if let Err(problem) = super::config::check_name(&wanted.container) {
        return refuse(&format!("the container's id {:?}", wanted.container), problem.to_owned());
    }
    let link = &wanted.interface;
    let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if link.len() > crate::link::MAX_NAME || [".", ".."].contains(&link.as_str()) || link.contains(odd) {
        return refuse(&format!("the link {link:?}"), "has a name that no link can have".to_owned());
    }
    let needs = [
        ("a published port", capability::PORTS, !wanted.ports.is_empty()),
        ("a hardware address", capability::MAC, wanted.mac.is_some()),
    ];
    for (what, capability, is_wanted) in needs {
        if is_wanted && !list.plugins.iter().any(|plugin| plugin.takes(capability)) {
            let problem = format!(
                "cannot be had: no plugin of the list {:?} has \"capabilities\": {{\"{capability}\": true}}",
                list.name
            );
            return refuse(what, problem);
        }
    }
    Ok(())
}

/// Chooses what is to be chosen and writes the record.
fn begin(
    driver: &CniDriver,
    network: &NetworkSpec,
    made: &Made,
    wanted: &EndpointSpec,
    key: &Key,
) -> Result<Record> {
    let failed = error_of(network);
    let _lock = driver.records.lock().map_err(&failed)?;
    let folder = driver.pins.join(&network.name);
    make_folder(&driver.pins).map_err(&failed)?;
    // It goes with the machine's restart, and what plugins keep does not.
    if fs::create_dir(&folder).is_ok() && made.gc {
        driver.collect(&driver.chain(made)).map_err(&failed)?;
    }
    make_folder(&folder).map_err(&failed)?;
    let others = driver.records.all().map_err(&failed)?;
    let ports = ports::choose(network, &wanted.ports, &others)?;
    let record =
        Record { list: made.list.name.clone(), wanted: derive::wanted(wanted, &ports), ports, result: None };
    driver.records.write(&network.name, key, &record).map_err(&failed)?;
    Ok(record)
}

fn join(
    driver: &CniDriver,
    network: &NetworkSpec,
    made: &Made,
    wanted: &EndpointSpec,
    key: &Key,
    mut record: Record,
    netns: &dyn Netns,
) -> Result<(Record, answer::Got)> {
    let failed = error_of(network);
    let netns = netns::open(&network.name, netns)?;
    let pin = driver.pin(network, key);
    pin::pin(netns, &pin).map_err(&failed)?;
    let path = pin.to_string_lossy();
    let result = driver.chain(made).add(Place { key, netns: &path, record: &record }).map_err(&failed)?;
    let got = answer::got(&result, &key.interface).map_err(|problem| {
        let last = made.list.plugins.last().map(|plugin| plugin.kind.clone()).unwrap_or_default();
        failed(CniError::Answer { plugin: last, operation: "ADD", problem })
    });
    // Before it is judged: DEL needs it in any case.
    record.result = Some(result);
    driver.records.write(&network.name, key, &record).map_err(&failed)?;
    let mut got = got?;
    has_what_was_wanted(wanted, &got.interfaces).map_err(&failed)?;
    name_macs(&mut got.interfaces, netns);
    Ok((record, got))
}

fn has_what_was_wanted(wanted: &EndpointSpec, links: &[Interface]) -> std::result::Result<(), CniError> {
    let given: Vec<_> = links.iter().flat_map(|link| &link.addresses).collect();
    let missing = |address: &&std::net::IpAddr| !given.iter().any(|one| one.address == **address);
    match wanted.addresses.iter().find(missing) {
        None => Ok(()),
        Some(address) => Err(CniError::OtherAddress {
            wanted: *address,
            given: match given.is_empty() {
                true => "none".to_owned(),
                false => given.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "),
            },
        }),
    }
}

/// Fills in the hardware addresses that plugins did not tell. Nobody's start fails for one that cannot be found out.
fn name_macs(links: &mut [Interface], netns: BorrowedFd<'_>) {
    if links.iter().all(|link| link.mac != [0; 6]) {
        return;
    }
    let Ok(mut kernel) = Links::of(netns) else { return };
    for link in links.iter_mut().filter(|link| link.mac == [0; 6]) {
        if let Ok(Some(found)) = kernel.find(&link.name) {
            link.mac = found.mac.unwrap_or_default();
        }
    }
}

/// Takes away what containers have of a network, past errors; gives the first.
pub(super) fn detach(driver: &CniDriver, network: &NetworkSpec, endpoint: &EndpointState) -> Result<()> {
    let keys = driver.records.of(&network.name).map_err(error_of(network))?;
    let keys = meant(keys, endpoint);
    if keys.is_empty() {
        return Ok(());
    }
    let made = options::made(network)?;
    keys.iter().map(|key| leave(driver, network, &made, key)).fold(Ok(()), Result::and)
}

/// Of the attachments of a network, those of one container; of several of its own the one that is meant.
fn meant(mut keys: Vec<Key>, endpoint: &EndpointState) -> Vec<Key> {
    keys.retain(|key| key.container == endpoint.container);
    let is_meant = |key: &Key| endpoint.interfaces.iter().any(|link| link.name == key.interface);
    if keys.iter().any(is_meant) {
        keys.retain(is_meant);
    }
    keys
}

/// DEL, and then the namespace and the record. They stay where DEL failed: something is held for the container still, and many
/// a plugin finds it by the namespace alone.
pub(super) fn leave(driver: &CniDriver, network: &NetworkSpec, made: &Made, key: &Key) -> Result<()> {
    let record = driver.records.read(&network.name, key).unwrap_or_default();
    let pin = driver.pin(network, key);
    let gone = driver.chain(made).del(Place { key, netns: &netns(&pin), record: &record });
    let gone = gone.and_then(|()| pin::unpin(&pin));
    gone.and_then(|()| driver.records.remove(&network.name, key)).map_err(error_of(network))
}

/// The path of a namespace that is there.
pub(super) fn netns(pin: &Path) -> String {
    if pin::is_pinned(pin) { pin.to_string_lossy().into_owned() } else { String::new() }
}

impl CniDriver {
    /// Where a container's network namespace is kept.
    fn pin(&self, network: &NetworkSpec, key: &Key) -> PathBuf {
        self.pins.join(&network.name).join(key.file_name())
    }

    pub(super) fn chain<'a>(&self, made: &'a Made) -> Chain<'a> {
        Chain { list: &made.list, version: made.version, folders: &made.folders, limit: self.limit }
    }

    /// Lets plugins take away what they hold for others than those that are on networks of this list here. The caller holds
    /// the lock.
    pub(super) fn collect(&self, chain: &Chain<'_>) -> std::result::Result<(), CniError> {
        let all = self.records.all()?.into_iter();
        // One that was torn may be anybody's.
        let ours = all.filter(|(_, record)| record.list == chain.list.name || record.list.is_empty());
        let valid: Vec<_> = ours.map(|(key, _)| key).collect();
        chain.collect_garbage(&valid)
    }

    /// Asks the plugins whether a container has what they gave it (CHECK).
    pub(super) fn check_place(&self, network: &NetworkSpec, endpoint: &EndpointState) -> Result<()> {
        let failed = error_of(network);
        let made = options::made(network)?;
        let keys = self.records.of(&network.name).map_err(&failed)?;
        for key in &meant(keys, endpoint) {
            let record = self.records.read(&network.name, key).map_err(&failed)?;
            // Without a result ADD is under way, or failed.
            if record.result.is_some() {
                let place = Place { key, netns: &netns(&self.pin(network, key)), record: &record };
                self.chain(&made).check(place).map_err(&failed)?;
            }
        }
        Ok(())
    }
}
