//! Which extended attributes belong to a file, and the ids that some of them hold.

use crate::copy::Owner;

/// What says something of the file itself. The rest says what this machine's policy makes of it (`security.selinux`,
/// `security.ima`) or how its file system stores it (`btrfs.compression`), and would be wrong elsewhere.
pub(crate) fn belongs(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name.starts_with(b"trusted.")
        || matches!(name, b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default")
}

/// A value with the ids in it mapped: those of access control lists (acl(5)), and the user namespace's root that a file's
/// capabilities are for (capabilities(7)). Values of no known form are left as they are; the kernel judges them.
pub(crate) fn map_ids(name: &[u8], value: &mut [u8], map: &dyn Fn(Owner) -> Owner) {
    match name {
        b"system.posix_acl_access" | b"system.posix_acl_default" => {
            const USER: u16 = 0x02;
            const GROUP: u16 = 0x08;
            let Some(entries) = value.get_mut(4..) else { return };
            for entry in entries.chunks_exact_mut(8) {
                let tag = u16::from_le_bytes([entry[0], entry[1]]);
                let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
                let mapped = match tag {
                    USER => map(Owner { uid: id, gid: 0 }).uid,
                    GROUP => map(Owner { uid: 0, gid: id }).gid,
                    _ => continue,
                };
                entry[4..].copy_from_slice(&mapped.to_le_bytes());
            }
        }
        b"security.capability" if value.len() == 24 => {
            let id = u32::from_le_bytes([value[20], value[21], value[22], value[23]]);
            value[20..].copy_from_slice(&map(Owner { uid: id, gid: 0 }).uid.to_le_bytes());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_ids_in_values_are_mapped_and_nothing_else() {
        let map = |owner: Owner| Owner { uid: owner.uid + 1000, gid: owner.gid + 2000 };
        let entry = |tag: u16, id: u32| [&tag.to_le_bytes()[..], &[7, 0], &id.to_le_bytes()].concat();
        let acl = |user: u32, group: u32| {
            let parts = [entry(1, u32::MAX), entry(2, user), entry(8, group), entry(0x20, u32::MAX)];
            [&2_u32.to_le_bytes()[..], &parts.concat()].concat()
        };
        let mut value = acl(5, 6);
        map_ids(b"system.posix_acl_default", &mut value, &map);
        assert_eq!(value, acl(1005, 2006));
        let mut capability = [1; 24];
        map_ids(b"security.capability", &mut capability, &map);
        assert_eq!(capability[..20], [1; 20]);
        assert_eq!(capability[20..], (0x0101_0101_u32 + 1000).to_le_bytes());
        for (name, value) in [(&b"security.capability"[..], [1; 20]), (b"user.x", [1; 20])] {
            let mut mapped = value;
            map_ids(name, &mut mapped, &map);
            assert_eq!(mapped, value);
        }
        map_ids(b"system.posix_acl_access", &mut [2, 0], &map);
    }
}
