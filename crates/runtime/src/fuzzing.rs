//! What the fuzz targets of `fuzz/` call: the readers of what a user, an image or another process wrote. No part of any
//! interface.

use crate::identity::{Identity, ReceivedIdentity, resolve_in};
use crate::monitor::Wish;
use crate::plan::{self, Bundle, UserPlan};
use crate::report::Report;
use crate::{ExecRequest, Failure, FailureKind, Rootfs, StartRequest};
use std::ffi::CString;
use std::path::PathBuf;

/// What can be told of the plan of a start.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    /// The numbers of the command's user, group and other groups, where the bundle gives numbers.
    pub ids: Option<(u32, u32, Vec<u32>)>,
    /// How many instructions the filter has, if there is one.
    pub filter: Option<usize>,
    /// Where something is mounted.
    pub targets: Vec<CString>,
    /// Where device nodes are mounted that lie in no file system of the container's own.
    pub strays: Vec<CString>,
    /// Where nothing is shown.
    pub masked: Vec<CString>,
    /// Where nothing can be written.
    pub read_only: Vec<CString>,
    /// The files below `/proc/sys` that are written.
    pub sysctls: Vec<CString>,
    /// Where the program may be.
    pub candidates: Vec<CString>,
    /// The control group.
    pub cgroup: String,
    /// What is told and stops nothing.
    pub warnings: Vec<String>,
}

/// Works a start out, and a further command in the same container, from the text of a `config.json` of our engine's.
///
/// # Errors
/// What is wrong with it.
pub fn plan(json: &[u8]) -> Result<Facts, Failure> {
    facts(&parse(json)?)
}

/// The same as `create` and `exec` do for another engine, up to the first thing that is made.
///
/// # Errors
/// What is wrong with it.
pub fn plan_of_another_engine(json: &[u8]) -> Result<Facts, Failure> {
    let bundle = parse(json)?.of_another_engine();
    let cgroup = crate::oci::check(&bundle, &"0".repeat(32))?;
    let process = bundle.spec.process.as_ref().map(|process| {
        let (id, folder) = ("0".repeat(32), PathBuf::from("/run"));
        plan::of_its_own(&bundle, process, &id, &folder, None).map(drop)
    });
    let facts = facts(&bundle)?;
    process.transpose()?;
    Ok(Facts { cgroup, ..facts })
}

/// Reads the text of a process, as `exec --process` takes it; gives what it asks for and is not given.
///
/// # Errors
/// What is wrong with it.
pub fn process(json: &[u8]) -> Result<Vec<String>, Failure> {
    plan::read(json)
        .map(|process| plan::ungranted(&process))
        .map_err(|error| Failure::new(FailureKind::Invalid, "read the process").caused_by(&error))
}

/// A failure as it is told.
pub fn line(failure: &Failure) -> String {
    failure.in_one_line()
}

fn parse(json: &[u8]) -> Result<Bundle, Failure> {
    Bundle::parse(json)
        .map_err(|error| Failure::new(FailureKind::Invalid, "read config.json").caused_by(&error))
}

fn facts(bundle: &Bundle) -> Result<Facts, Failure> {
    let further = plan::for_exec(bundle, &further());
    let plan = plan::build(bundle, &start())?;
    further?;
    Ok(Facts {
        ids: match plan.user {
            UserPlan::Ids { uid, gid, groups } => Some((uid, gid, groups)),
            UserPlan::Text(_) => None,
        },
        filter: plan.process.seccomp.map(|(program, _)| program.instruction_count()),
        targets: plan.mounts.into_iter().map(|mount| mount.target).collect(),
        strays: plan.strays.places.into_iter().map(|stray| stray.target).collect(),
        masked: plan.masked,
        read_only: plan.read_only,
        sysctls: plan.sysctls.into_iter().map(|(file, _)| file).collect(),
        candidates: plan.process.candidates,
        cgroup: String::new(),
        warnings: bundle.spec.process.as_ref().map(plan::ungranted).unwrap_or_default(),
    })
}

fn start() -> StartRequest {
    StartRequest {
        id: "0".repeat(32),
        bundle: PathBuf::from("/bundle"),
        run_dir: PathBuf::from("/run"),
        cgroup: "/c".to_owned(),
        monitor_cgroup: "/m".to_owned(),
        rootfs: Rootfs { overlays: Vec::new(), volatile: false, devices: false, storage: None },
        protect_program: false,
        attach: false,
        connect: false,
        secrets: Vec::new(),
        netns: None,
        interactive: false,
        window: None,
        log: None,
        exit_copy: None,
        sync: None,
        release: Vec::new(),
        trash: Vec::new(),
        restart: None,
        health: None,
        events: None,
    }
}

fn further() -> ExecRequest {
    ExecRequest {
        id: "0".repeat(32),
        bundle: PathBuf::from("/bundle"),
        run_dir: PathBuf::from("/run"),
        cgroup: "/c".to_owned(),
        protect_program: false,
        args: vec!["true".to_owned()],
        env: Vec::new(),
        cwd: None,
        user: None,
        terminal: false,
        interactive: false,
        detach: false,
        window: None,
        events: None,
    }
}

/// Reads what a child reports, and writes it again.
pub fn report(packet: &[u8]) -> Option<[u8; 8]> {
    Report::from_bytes(packet).map(Report::to_bytes)
}

/// Reads whom a child is to become, and writes it again.
pub fn identity(packet: &[u8]) -> Option<Vec<u8>> {
    let received = ReceivedIdentity::decode(packet)?;
    let groups = received.groups.get(..received.group_count)?;
    let identity = Identity {
        uid: received.uid,
        gid: received.gid,
        groups: groups.iter().map(|group| group.as_raw()).collect(),
        home: received.home.to_bytes().strip_prefix(b"HOME=")?.to_vec(),
    };
    Some(identity.encode())
}

/// Reads what a client asks of a running command; the text says what.
pub fn wish(packet: &[u8]) -> Option<String> {
    Some(match Wish::parse(packet)? {
        Wish::Attach { input, window } => format!("attach {input} {window:?}"),
        Wish::Detach => "detach".to_owned(),
        Wish::Stdin(bytes) => format!("stdin {}", bytes.len()),
        Wish::StdinClosed => "end".to_owned(),
        Wish::Resize(rows, columns) => format!("resize {rows} {columns}"),
        Wish::Signal(number) => format!("signal {number}"),
    })
}

/// Looks a user up in the text of a `passwd` and a `group` file: user, group, other groups, and the packet that says so.
///
/// # Errors
/// What is wrong with the name.
pub fn account(user: &str, passwd: &[u8], group: &[u8]) -> Result<(u32, u32, Vec<u32>, Vec<u8>), Failure> {
    let identity = resolve_in(&UserPlan::Text(user.to_owned()), passwd, group)?;
    let packet = identity.encode();
    Ok((identity.uid, identity.gid, identity.groups, packet))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(user: &str, sysctl: &str) -> Result<Facts, Failure> {
        let namespaces = r#"[{"type": "pid"}, {"type": "mount"}, {"type": "network"}, {"type": "ipc"}]"#;
        let json = format!(
            r#"{{"ociVersion": "1.2.0", "root": {{"path": "rootfs"}},
                "process": {{"cwd": "/", "args": ["/bin/sh"], "user": {{{user}}}}},
                "linux": {{"namespaces": {namespaces}, "sysctl": {{{sysctl}}}}}}}"#
        );
        plan(json.as_bytes())
    }

    #[test]
    fn a_bundle_whose_user_the_kernel_takes_for_unchanged_is_refused() {
        let ids = |user| with(user, "").map(|facts| facts.ids);
        assert_eq!(ids(r#""uid": 1, "gid": 2, "additionalGids": [3]"#), Ok(Some((1, 2, vec![3]))));
        for user in [
            r#""uid": 4294967295, "gid": 0"#,
            r#""uid": 0, "gid": 4294967295"#,
            r#""uid": 1, "gid": 1, "additionalGids": [1, 4294967295]"#,
        ] {
            let failure = ids(user).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Invalid);
            assert!(failure.message.contains("process.user"), "{failure}");
        }
    }

    #[test]
    fn settings_are_made_in_the_same_order_each_time() {
        let names = [
            "kernel.shmmax",
            "net.ipv4.conf.all.rp_filter",
            "net.ipv4.conf.lo.rp_filter",
            "fs.mqueue.msg_max",
        ];
        let settings = names.map(|name| format!(r#""{name}": "1""#)).join(", ");
        for _ in 0..20 {
            let facts = with(r#""uid": 0, "gid": 0"#, &settings).unwrap();
            let files: Vec<_> = facts.sysctls.iter().map(|file| file.to_str().unwrap()).collect();
            assert!(files.len() == 4 && files.is_sorted(), "{files:?}");
        }
    }
}
