//! Whom a command becomes, looked up in the container's own `/etc/passwd` and `/etc/group`.
//!
//! Those files belong to the container: they are opened inside its root, must be regular files, and no more than a mebibyte
//! of them is read (CVE-2024-9676). Numbers are numbers only when they are written as such and are in range; everything
//! else is a name, and a name that is not found is an error, never root (CVE-2024-40635).

use crate::defence::{self, Defence};
use crate::plan::UserPlan;
use crate::{Failure, FailureKind};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::BorrowedFd;

const MAX_FILE: usize = 1024 * 1024;
/// The most supplementary groups that are taken on.
const MAX_GROUPS: usize = 512;
/// The longest `HOME=…`, with its final zero byte.
const MAX_HOME: usize = 1024;

/// A user, groups and a home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: Vec<u8>,
}

impl Identity {
    /// Looks a user up in the root whose folder is open. `None` stands for a root without the files.
    pub(crate) fn resolve(user: &UserPlan, root: BorrowedFd<'_>, needs_home: bool) -> Result<Self, Failure> {
        let (passwd, group) = match user {
            UserPlan::Ids { .. } if !needs_home => Default::default(),
            UserPlan::Ids { .. } => (read(root, c"/etc/passwd")?, Vec::new()),
            UserPlan::Text(_) => (read(root, c"/etc/passwd")?, read(root, c"/etc/group")?),
        };
        resolve_in(user, &passwd, &group)
    }

    /// The longest packet that [`encode`](Self::encode) makes, less its first byte.
    pub(crate) const MAX_LENGTH: usize = 12 + 4 * MAX_GROUPS + MAX_HOME;

    /// As it travels to the child: user, group, number of groups, the groups, `HOME=…` with a zero byte.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::MAX_LENGTH);
        bytes.extend(self.uid.to_le_bytes());
        bytes.extend(self.gid.to_le_bytes());
        bytes.extend((self.groups.len() as u32).to_le_bytes());
        self.groups.iter().for_each(|group| bytes.extend(group.to_le_bytes()));
        bytes.extend(b"HOME=");
        bytes.extend(&self.home);
        bytes.push(0);
        bytes
    }
}

/// An [`Identity`] in the child: no allocation.
pub(crate) struct ReceivedIdentity<'packet> {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: [rustix::process::Gid; MAX_GROUPS],
    pub(crate) group_count: usize,
    pub(crate) home: &'packet CStr,
}

impl<'packet> ReceivedIdentity<'packet> {
    /// *Child-side.* Reads what [`Identity::encode`] wrote.
    pub(crate) fn decode(packet: &'packet [u8]) -> Option<Self> {
        let mut words = packet.chunks_exact(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]]));
        // The largest number is nobody's: to the kernel it means "as it is".
        let id = |word: Option<u32>| word.filter(|id| *id != u32::MAX);
        let (uid, gid, count) = (id(words.next())?, id(words.next())?, words.next()? as usize);
        let mut groups = [rustix::process::Gid::ROOT; MAX_GROUPS];
        for place in groups.get_mut(..count)? {
            *place = rustix::process::Gid::from_raw(id(words.next())?);
        }
        let home = CStr::from_bytes_until_nul(packet.get(12 + 4 * count..)?).ok()?;
        Some(Self { uid, gid, groups, group_count: count, home })
    }
}

fn read(root: BorrowedFd<'_>, path: &CStr) -> Result<Vec<u8>, Failure> {
    let failed = |errno: Errno| {
        Failure::new(FailureKind::Invalid, format!("read the container's {}", path.to_string_lossy()))
            .caused_by(&std::io::Error::from(errno))
    };
    // NONBLOCK: a FIFO in its place must not keep us waiting.
    let file =
        match tinyd_fs::resolve::open_with(root, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
            Err(errno) => return Err(failed(errno)),
        };
    let stat = rustix::fs::fstat(&file).map_err(failed)?;
    let limited = defence::on(Defence::AccountFileLimits);
    if limited && FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(failed(Errno::INVAL));
    }
    let most = if limited { MAX_FILE } else { usize::MAX };
    let mut content = vec![0; most.min(usize::try_from(stat.st_size).unwrap_or(MAX_FILE))];
    let mut length = 0;
    while length < content.len() {
        match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut content[length..])).map_err(failed)? {
            0 => break,
            read => length += read,
        }
    }
    content.truncate(length);
    Ok(content)
}

pub(crate) fn resolve_in(user: &UserPlan, passwd: &[u8], group: &[u8]) -> Result<Identity, Failure> {
    let (uid, gid, groups, account) = match user {
        UserPlan::Ids { uid, gid, groups } => {
            (*uid, *gid, groups.clone(), accounts(passwd).find(|account| account.uid == *uid))
        }
        UserPlan::Text(text) => {
            let (user, wanted_group) =
                text.split_once(':').map_or((text.as_str(), None), |(u, g)| (u, Some(g)));
            let account = match number(user)? {
                Some(uid) => accounts(passwd).find(|account| account.uid == uid).ok_or(uid),
                None => Ok(accounts(passwd)
                    .find(|account| account.name == user.as_bytes())
                    .ok_or_else(|| unknown("user", user, "/etc/passwd"))?),
            };
            let (uid, own_gid) = match &account {
                Ok(account) => (account.uid, account.gid),
                // As Docker has it: a number that nobody has a name for is in root's group.
                Err(uid) => (*uid, 0),
            };
            let account = account.ok();
            match wanted_group {
                Some(name) => (uid, group_id(name, group)?, Vec::new(), account),
                None => {
                    let groups = account.map(|a| memberships(group, a.name).collect()).unwrap_or_default();
                    (uid, own_gid, groups, account)
                }
            }
        }
    };
    if groups.len() > MAX_GROUPS {
        return Err(Failure::new(
            FailureKind::Invalid,
            format!("more than {MAX_GROUPS} supplementary groups"),
        ));
    }
    // One with a zero byte would end there, and be another folder.
    let usable = |home: &&[u8]| !home.is_empty() && home.len() + 6 <= MAX_HOME && !home.contains(&0);
    let home = account.map(|account| account.home).filter(usable);
    Ok(Identity { uid, gid, groups, home: home.unwrap_or(b"/").to_vec() })
}

fn group_id(name: &str, group: &[u8]) -> Result<u32, Failure> {
    if let Some(gid) = number(name)? {
        return Ok(gid);
    }
    lines(group)
        .find(|fields| fields.first() == Some(&name.as_bytes()))
        .and_then(|fields| id(fields.get(2)?))
        .ok_or_else(|| unknown("group", name, "/etc/group"))
}

fn unknown(what: &str, name: &str, file: &str) -> Failure {
    Failure::new(FailureKind::Invalid, format!("there is no {what} {name:?} in the container's {file}"))
}

/// A number, `None` for a name. What starts like a number and is none, or is too large, is refused.
fn number(text: &str) -> Result<Option<u32>, Failure> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+') && !text.is_empty() {
        return Ok(None);
    }
    match id(text.as_bytes()) {
        Some(id) => Ok(Some(id)),
        None if !defence::on(Defence::UserNumbers) => Ok(None),
        None => Err(Failure::new(FailureKind::Invalid, format!("{text:?} is no user or group"))
            .with_hint("ids are decimal, from 0 to 2147483647")),
    }
}

/// Decimal digits, without a leading zero, up to the largest id that every program copes with.
fn id(text: &[u8]) -> Option<u32> {
    let plain = text.iter().all(u8::is_ascii_digit) && (text.len() == 1 || !text.starts_with(b"0"));
    let number: u32 = std::str::from_utf8(text).ok().filter(|_| plain)?.parse().ok()?;
    i32::try_from(number).is_ok().then_some(number)
}

#[derive(Clone, Copy)]
struct Account<'file> {
    name: &'file [u8],
    uid: u32,
    gid: u32,
    home: &'file [u8],
}

fn lines(file: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    file.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b':').collect())
}

fn accounts(passwd: &[u8]) -> impl Iterator<Item = Account<'_>> {
    lines(passwd).filter_map(|fields| {
        let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
        Some(Account { name, uid: id(uid)?, gid: id(gid)?, home })
    })
}

fn memberships<'file>(group: &'file [u8], user: &'file [u8]) -> impl Iterator<Item = u32> + 'file {
    lines(group).filter_map(move |fields| {
        let [_, _, gid, members] = fields.as_slice() else { return None };
        members.split(|byte| *byte == b',').any(|member| member == user).then(|| id(gid)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n4294967296:x:0:0::/:\n";
    const GROUP: &[u8] = b"root:x:0:\napp:x:1001:\nvideo:x:44:other,app\nwheel:x:10:app\n";

    fn text(user: &str) -> Result<Identity, Failure> {
        resolve_in(&UserPlan::Text(user.to_owned()), PASSWD, GROUP)
    }

    #[test]
    fn names_and_numbers_as_docker_reads_them() {
        let app = Identity { uid: 1000, gid: 1001, groups: vec![44, 10], home: b"/home/app".to_vec() };
        assert_eq!(text("app").unwrap(), app);
        assert_eq!(text("1000").unwrap(), app);
        assert_eq!(text("app:video").unwrap(), Identity { gid: 44, groups: vec![], ..app });
        let nobody = Identity { uid: 7, gid: 0, groups: vec![], home: b"/".to_vec() };
        assert_eq!(text("7").unwrap(), nobody);
        assert_eq!(text("7:8").unwrap(), Identity { gid: 8, ..nobody });
    }

    #[test]
    fn what_is_no_user_is_never_root() {
        for user in [
            "4294967296",
            "2147483648",
            "-1",
            "0x0",
            "00",
            "1000:",
            ":",
            "",
            "65536:99999999999",
            "nobody",
            "+0",
            "app:x",
        ] {
            assert_eq!(text(user).map_err(|e| e.kind), Err(FailureKind::Invalid), "{user:?}");
        }
    }

    #[test]
    fn a_home_that_no_variable_can_hold_is_none() {
        let passwd = b"zero:x:1:1::/a\0/b:/bin/sh\nnone:x:2:2:::/bin/sh\n";
        for user in ["zero", "none"] {
            let identity = resolve_in(&UserPlan::Text(user.to_owned()), passwd, GROUP).unwrap();
            assert_eq!(identity.home, b"/", "{user}");
        }
    }

    #[test]
    fn an_identity_survives_the_way_to_the_child() {
        let identity = text("app").unwrap();
        let bytes = identity.encode();
        let received = ReceivedIdentity::decode(&bytes).unwrap();
        assert_eq!((received.uid, received.gid, received.group_count), (1000, 1001, 2));
        assert_eq!(received.groups[0].as_raw(), 44);
        assert_eq!(received.home, c"HOME=/home/app");
        assert!(ReceivedIdentity::decode(&bytes[..10]).is_none());
        for at in [0, 4, 12] {
            let mut nobody = bytes.clone();
            nobody[at..at + 4].fill(0xff);
            assert!(ReceivedIdentity::decode(&nobody).is_none(), "{at}");
        }
    }
}
