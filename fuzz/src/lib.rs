//! The bodies of the fuzz targets: each takes any bytes, and panics when a reader of this repository panics or breaks a
//! promise. A finding goes into `corpus/<target>/` together with what mends it.
//!
//! | target | reads | promise |
//! |---|---|---|
//! | [`archive`] | tar archives | nothing outside the root is touched; what was unpacked is packed and unpacked the same |
//! | [`mountinfo`] | `/proc/PID/mountinfo` | what is read is written and read again the same, by both readers |
//! | [`cgroup_files`] | the files of a group, v1 and v2 | no limit is invented: an answer, or an error that names the file |
//! | [`bundle`] | a bundle's `config.json` | a plan stays below `/proc/sys` and within what the kernel takes; nobody is user -1; another engine's has no notes of ours; what is refused is one clear line |
//! | [`seccomp`] | a seccomp profile | a filter that the kernel accepts, the same after a way through JSON |
//! | [`protocol`] | packets between client, monitor and child; passwd and group | what is read is written the same |
//! | [`options`] | command lines | a second reading changes nothing; the command's own words are left alone |
//! | [`names`] | questions for names and answers to them, `resolv.conf`, zones | nobody is answered for ever, or with what he did not ask, or with more than he takes |
//! | [`netlink`] | what the kernel says of links, rules and connections | no byte is read twice; what is read is written the same, and names what it takes away |
//! | [`dbus`] | messages of systemd's bus, and what they say of jobs | no byte is read that is not there, and no text comes from elsewhere |
//! | [`head`] | the heads of requests to the web page | what is passed on is read the same by the parser behind it, however it arrives |
//! | [`cni`] | CNI configurations and plugins' answers; the state of networks | plugins are told what was written for them, and no path is run |
//! | [`wire`] | messages of clients to a daemon | what is read travels, and is read again the same |
//! | [`log`] | lines of a container's log | what the command wrote, and no byte more |
//! | [`events`] | a log of events that was torn or filled with anything | it ends; numbers only grow; what is told afterwards is read once |
//! | [`leases`] | ranges of addresses, and a script of taking and giving back | nobody gets what another has, or what no container may have |
//! | [`plugin`] | what volume plugins answer over HTTP | however it arrives it is the same answer, and no longer than we take |
#![forbid(unsafe_code)]

mod archive;
mod bundle;
mod cgroup_files;
mod cni;
mod dbus;
mod events;
mod head;
mod leases;
mod log;
mod mountinfo;
mod names;
mod netlink;
mod options;
mod place;
mod plugin;
mod protocol;
mod seccomp;
mod wire;

pub use archive::archive;
pub use bundle::bundle;
pub use cgroup_files::cgroup_files;
pub use cni::cni;
pub use dbus::dbus;
pub use events::events;
pub use head::head;
pub use leases::leases;
pub use log::log;
pub use mountinfo::mountinfo;
pub use names::names;
pub use netlink::netlink;
pub use options::options;
pub use plugin::plugin;
pub use protocol::protocol;
pub use seccomp::seccomp;
pub use wire::wire;

/// A target's body.
pub type Target = fn(&[u8]);

/// All of them, by the names of their folders.
pub const TARGETS: [(&str, Target); 17] = [
    ("archive", archive),
    ("bundle", bundle),
    ("cgroup_files", cgroup_files),
    ("cni", cni),
    ("dbus", dbus),
    ("events", events),
    ("head", head),
    ("leases", leases),
    ("log", log),
    ("mountinfo", mountinfo),
    ("names", names),
    ("netlink", netlink),
    ("options", options),
    ("plugin", plugin),
    ("protocol", protocol),
    ("seccomp", seccomp),
    ("wire", wire),
];
