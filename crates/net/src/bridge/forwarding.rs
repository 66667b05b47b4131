//! The few settings of the host that a bridge needs, and how they come back.
//!
//! Packets between a bridge and the link of the default route are forwarded: that is switched on for these two links alone,
//! never for the whole host where the kernel can tell. What a setting was before is recorded in a file before it is
//! changed, and set again when the last network goes. `route_localnet`, by which 127.0.0.1 reaches a container, is set on
//! bridges only, and goes with them; the firewall drops what comes from them to such addresses.

use crate::NetworkSpec;
use crate::link::Links;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(super) struct Forwarding {
    /// One file for each bridge, named as it is; its content, the firewall that has its rules.
    bridges: PathBuf,
    /// One file for each setting that was changed: its name is the setting's path below `/proc/sys/net` with colons for
    /// slashes, its content what it was; of what one link forwards also what all links did, in a second line.
    settings: PathBuf,
}

impl Forwarding {
    pub(super) fn recorded_in(folder: &Path) -> Self {
        Self { bridges: folder.join("bridges"), settings: folder.join("settings") }
    }

    /// Records that a bridge is there, or will be.
    pub(super) fn note_bridge(&self, bridge: &str, firewall: &str) -> io::Result<()> {
        fs::create_dir_all(&self.bridges)?;
        fs::write(self.bridges.join(bridge), firewall)
    }

    /// The firewall of a bridge, where it is recorded.
    pub(super) fn firewall_of(&self, bridge: &str) -> io::Result<Option<String>> {
        match fs::read_to_string(self.bridges.join(bridge)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            firewall => firewall.map(Some),
        }
    }

    /// The firewalls of all bridges, each once. One that was recorded before there was a choice has none.
    pub(super) fn firewalls(&self) -> io::Result<BTreeSet<String>> {
        let entries = match fs::read_dir(&self.bridges) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            entries => entries?,
        };
        let mut all = BTreeSet::new();
        for entry in entries {
            match fs::read_to_string(entry?.path()) {
                // Its network went meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                firewall => drop(all.insert(firewall?)),
            }
        }
        Ok(all)
    }

    /// The bridges whose firewall is such a one.
    pub(super) fn bridges(&self, is_such: impl Fn(&str) -> bool) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.bridges) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut bridges = Vec::new();
        for entry in entries {
            let entry = entry?;
            match fs::read_to_string(entry.path()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                firewall => bridges
                    .extend(is_such(&firewall?).then(|| entry.file_name().to_string_lossy().into_owned())),
            }
        }
        Ok(bridges)
    }

    /// Forgets a bridge, and with the last one sets everything as it was.
    pub(super) fn forget_bridge(&self, bridge: &str) -> io::Result<()> {
        let gone = |result: io::Result<()>| match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        };
        gone(fs::remove_file(self.bridges.join(bridge)))?;
        match fs::remove_dir(&self.bridges) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // Others are there.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => return Ok(()),
            Err(error) => return Err(error),
        }
        let Ok(entries) = fs::read_dir(&self.settings) else { return Ok(()) };
        for entry in entries {
            let path = entry?.path();
            let record = fs::read_to_string(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().replace(':', "/");
            let mut lines = record.lines();
            let (before, all_before) = (lines.next().unwrap_or_default(), lines.next());
            if before == "1" || all_before == Some("1") || !is_forwarded_by_others(&name)? {
                // A link that is gone has taken its settings along.
                gone(set(&name, before))?;
            }
            gone(fs::remove_file(&path))?;
        }
        gone(fs::remove_dir(&self.settings))
    }

    /// The settings of a bridge that was just made, or that somebody changed.
    pub(super) fn prepare_bridge(&self, bridge: &str, network: &NetworkSpec) -> io::Result<()> {
        for (setting, value) in of_bridge(bridge, network) {
            match set(&setting, value) {
                // A kernel without IPv6 has no such setting.
                Err(error) if error.kind() == io::ErrorKind::NotFound && setting.starts_with("ipv6/") => {}
                result => result?,
            }
        }
        if has_six(network) && !network.internal {
            self.forward_six(bridge)?;
        }
        Ok(())
    }

    /// Whether a bridge that is there has its settings.
    pub(super) fn is_prepared(bridge: &str, network: &NetworkSpec) -> io::Result<bool> {
        for (setting, value) in of_bridge(bridge, network) {
            match get(&setting) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && setting.starts_with("ipv6/") => {}
                there => {
                    if there?.trim() != value {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(!has_six(network) || network.internal || forwards_six(bridge)?)
    }

    /// Whether packets can come back by the links that [`open_way_out`](Self::open_way_out) is about.
    pub(super) fn is_way_out_open(links: &mut Links, network: &NetworkSpec) -> io::Result<bool> {
        for (is_v6, link) in ways_out(links, network)? {
            let forwards = match is_v6 {
                false => get(&format!("ipv4/conf/{link}/forwarding"))?.trim() == "1",
                true => forwards_six(&link)?,
            };
            if !forwards {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Lets packets be forwarded that come back from wherever the host sends what it knows no other way for.
    pub(super) fn open_way_out(&self, links: &mut Links, network: &NetworkSpec) -> io::Result<()> {
        for (is_v6, link) in ways_out(links, network)? {
            match is_v6 {
                false => self.change(&format!("ipv4/conf/{link}/forwarding"), "1")?,
                true => self.forward_six(&link)?,
            }
        }
        Ok(())
    }

    /// The settings that are other than they were, or will be with the first container, where this network is the only one: as
    /// sysctl(8) names them.
    pub(super) fn switched_on(&self, links: &mut Links, network: &NetworkSpec) -> io::Result<Vec<String>> {
        if self.bridges(|_| true)?.len() != 1 {
            return Ok(Vec::new());
        }
        let mut settings = Vec::new();
        // For the bridge already, where the kernel knows no other way.
        let all_six = "ipv6/conf/all/forwarding";
        if self.settings.join(all_six.replace('/', ":")).exists() {
            settings.push(all_six.to_owned());
        }
        for (is_v6, link) in ways_out(links, network)? {
            let (setting, forwards) = match is_v6 {
                true => (format!("ipv6/conf/{link}/force_forwarding"), forwards_six(&link)?),
                false => {
                    let setting = format!("ipv4/conf/{link}/forwarding");
                    let forwards = get(&setting)?.trim() == "1";
                    (setting, forwards)
                }
            };
            if !forwards && !settings.contains(&setting) {
                settings.push(setting);
            }
        }
        // A link's name may hold dots, which stand as slashes there.
        let swapped = |letter| match letter {
            '/' => '.',
            '.' => '/',
            other => other,
        };
        let named = |setting: String| format!("net.{}", setting.chars().map(swapped).collect::<String>());
        Ok(settings.into_iter().map(named).collect())
    }

    /// IPv6 is forwarded by one link where the kernel has a setting for that (6.17), else by all of them; then links that
    /// learn their addresses and routes from routers have to be told to go on doing so.
    fn forward_six(&self, link: &str) -> io::Result<()> {
        match self.change(&format!("ipv6/conf/{link}/force_forwarding"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
        if get("ipv6/conf/all/forwarding")?.trim() != "1" {
            self.go_on_learning()?;
        }
        self.change("ipv6/conf/all/forwarding", "1")
    }

    /// Links that learn from routers would forget what they have learned, the host's way out with it. (Those that forward already learn
    /// nothing.)
    fn go_on_learning(&self) -> io::Result<()> {
        for link in fs::read_dir("/proc/sys/net/ipv6/conf")? {
            let link = link?.file_name().to_string_lossy().into_owned();
            let is = |setting: &str, value| {
                get(&format!("ipv6/conf/{link}/{setting}")).is_ok_and(|found| found.trim() == value)
            };
            if !["all", "default"].contains(&&*link) && is("accept_ra", "1") && is("forwarding", "0") {
                match self.change(&format!("ipv6/conf/{link}/accept_ra"), "2") {
                    // It is gone.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    changed => changed?,
                }
            }
        }
        Ok(())
    }

    /// Changes a setting of the host's, after it was recorded what it was.
    fn change(&self, setting: &str, value: &str) -> io::Result<()> {
        let before = get(setting)?;
        if before.trim() == value {
            return Ok(());
        }
        fs::create_dir_all(&self.settings)?;
        let record = self.settings.join(setting.replace('/', ":"));
        let all_before = all_links(setting).map(|all| get(&all)).transpose()?.unwrap_or_default();
        match fs::OpenOptions::new().write(true).create_new(true).open(&record) {
            Ok(mut file) => io::Write::write_all(&mut file, (before + &all_before).as_bytes())?,
            // Somebody else turned it back meanwhile: what it was at first is what comes back.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        set(setting, value)
    }
}

/// Of `ipv4/conf/LINK/forwarding` the setting that switches all links on and off.
fn all_links(setting: &str) -> Option<String> {
    let (folder, link) = setting.strip_suffix("/forwarding")?.rsplit_once('/')?;
    (link != "all").then(|| format!("{folder}/all/forwarding"))
}

/// Whether a setting is one link's, and somebody had all links forward since: other engines, or whoever made a router of this
/// host, need that one as well. (Where all of them did so before, one that did not was somebody's choice.)
fn is_forwarded_by_others(setting: &str) -> io::Result<bool> {
    match all_links(setting) {
        None => Ok(false),
        Some(all) => Ok(get(&all)?.trim() == "1"),
    }
}

/// The settings that are a bridge's own.
fn of_bridge(bridge: &str, network: &NetworkSpec) -> Vec<(String, &'static str)> {
    let four = |setting, value| (format!("ipv4/conf/{bridge}/{setting}"), value);
    let six = |setting, value| (format!("ipv6/conf/{bridge}/{setting}"), value);
    let mut all = vec![four("forwarding", if network.internal { "0" } else { "1" })];
    if !network.internal {
        all.push(four("route_localnet", "1"));
    }
    // Containers advertise no routes to the host (CVE-2020-10749). Its addresses are known to be nobody else's: a bridge that
    // looked first would not find its neighbours for a second.
    all.extend([six("accept_ra", "0"), six("accept_dad", "0")]);
    all.push(six("disable_ipv6", if has_six(network) { "0" } else { "1" }));
    all
}

fn has_six(network: &NetworkSpec) -> bool {
    network.subnets.iter().any(|subnet| subnet.address.is_ipv6())
}

/// The links that the host sends by what it knows no other way for, of each family that a network has, and whether it is IPv6.
fn ways_out(links: &mut Links, network: &NetworkSpec) -> io::Result<Vec<(bool, String)>> {
    let mut all = Vec::new();
    if network.internal {
        return Ok(all);
    }
    for route in links.routes()?.iter().filter(|route| route.to.length == 0) {
        let family = |subnet: &crate::Prefix| subnet.address.is_ipv4() == route.to.address.is_ipv4();
        let Some(index) = route.link.filter(|_| network.subnets.iter().any(family)) else { continue };
        let Some(link) = links.list()?.into_iter().find(|link| link.index == index) else { continue };
        all.push((route.to.address.is_ipv6(), link.name));
    }
    Ok(all)
}

/// Whether a link forwards IPv6, by whichever setting this kernel has for that.
fn forwards_six(link: &str) -> io::Result<bool> {
    if get("ipv6/conf/all/forwarding")?.trim() == "1" {
        return Ok(true);
    }
    match get(&format!("ipv6/conf/{link}/force_forwarding")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        there => Ok(there?.trim() == "1"),
    }
}

fn get(setting: &str) -> io::Result<String> {
    fs::read_to_string(Path::new("/proc/sys/net").join(setting))
}

fn set(setting: &str, value: &str) -> io::Result<()> {
    fs::write(Path::new("/proc/sys/net").join(setting), value)
}
