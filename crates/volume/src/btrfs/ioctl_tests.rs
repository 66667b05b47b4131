//! The structures and numbers, compared with those that the compiler of C makes of the kernel's headers.

use super::*;
use std::mem::{offset_of, size_of};
use std::process::Command;

/// Each line: an expression of C, and what it is here.
fn expected() -> Vec<(&'static str, usize)> {
    vec![
        ("sizeof(struct btrfs_ioctl_vol_args_v2)", size_of::<VolArgs>()),
        ("offsetof(struct btrfs_ioctl_vol_args_v2, flags)", offset_of!(VolArgs, flags)),
        ("offsetof(struct btrfs_ioctl_vol_args_v2, name)", offset_of!(VolArgs, name)),
        ("sizeof(struct btrfs_ioctl_get_subvol_info_args)", size_of::<SubvolumeInfo>()),
        ("offsetof(struct btrfs_ioctl_get_subvol_info_args, flags)", offset_of!(SubvolumeInfo, flags)),
        (
            "offsetof(struct btrfs_ioctl_get_subvol_info_args, received_uuid)",
            offset_of!(SubvolumeInfo, received_uuid),
        ),
        ("offsetof(struct btrfs_ioctl_get_subvol_info_args, otransid)", offset_of!(SubvolumeInfo, otransid)),
        ("offsetof(struct btrfs_ioctl_get_subvol_info_args, otime)", offset_of!(SubvolumeInfo, otime)),
        ("sizeof(struct btrfs_ioctl_timespec)", size_of::<Time>()),
        ("sizeof(struct btrfs_ioctl_get_subvol_rootref_args)", size_of::<RootRefs>()),
        ("offsetof(struct btrfs_ioctl_get_subvol_rootref_args, rootref)", offset_of!(RootRefs, refs)),
        ("offsetof(struct btrfs_ioctl_get_subvol_rootref_args, num_items)", offset_of!(RootRefs, found)),
        ("sizeof(struct btrfs_ioctl_ino_lookup_user_args)", size_of::<Lookup>()),
        ("offsetof(struct btrfs_ioctl_ino_lookup_user_args, treeid)", offset_of!(Lookup, treeid)),
        ("offsetof(struct btrfs_ioctl_ino_lookup_user_args, name)", offset_of!(Lookup, name)),
        ("offsetof(struct btrfs_ioctl_ino_lookup_user_args, path)", offset_of!(Lookup, path)),
        ("sizeof(struct btrfs_ioctl_quota_ctl_args)", size_of::<QuotaCtl>()),
        ("sizeof(struct btrfs_ioctl_qgroup_limit_args)", size_of::<QgroupLimit>()),
        ("offsetof(struct btrfs_ioctl_qgroup_limit_args, lim.flags)", offset_of!(QgroupLimit, flags)),
        (
            "offsetof(struct btrfs_ioctl_qgroup_limit_args, lim.max_rfer)",
            offset_of!(QgroupLimit, max_referenced),
        ),
        ("sizeof(struct btrfs_ioctl_quota_rescan_args)", size_of::<Rescan>()),
        ("sizeof(struct btrfs_ioctl_search_args)", size_of::<Search>()),
        ("offsetof(struct btrfs_ioctl_search_args, key.min_objectid)", offset_of!(Search, objectids)),
        ("offsetof(struct btrfs_ioctl_search_args, key.min_offset)", offset_of!(Search, offsets)),
        ("offsetof(struct btrfs_ioctl_search_args, key.min_transid)", offset_of!(Search, transids)),
        ("offsetof(struct btrfs_ioctl_search_args, key.min_type)", offset_of!(Search, kinds)),
        ("offsetof(struct btrfs_ioctl_search_args, key.nr_items)", offset_of!(Search, items)),
        ("offsetof(struct btrfs_ioctl_search_args, buf)", offset_of!(Search, found)),
        ("sizeof(struct btrfs_ioctl_search_header)", 32),
        ("offsetof(struct btrfs_ioctl_search_header, len)", 28),
        ("sizeof(struct btrfs_ioctl_fs_info_args)", size_of::<FsInfo>()),
        ("sizeof(struct btrfs_ioctl_scrub_args)", size_of::<ScrubArgs>()),
        ("offsetof(struct btrfs_ioctl_scrub_args, progress)", offset_of!(ScrubArgs, progress)),
        ("sizeof(struct btrfs_scrub_progress)", size_of::<ScrubProgress>()),
        ("offsetof(struct btrfs_scrub_progress, csum_errors)", offset_of!(ScrubProgress, csum_errors)),
        (
            "offsetof(struct btrfs_scrub_progress, unverified_errors)",
            offset_of!(ScrubProgress, unverified_errors),
        ),
        ("sizeof(struct btrfs_ioctl_send_args)", size_of::<SendArgs>()),
        ("offsetof(struct btrfs_ioctl_send_args, clone_sources)", offset_of!(SendArgs, clone_sources)),
        ("offsetof(struct btrfs_ioctl_send_args, parent_root)", offset_of!(SendArgs, parent_root)),
        ("BTRFS_IOC_SUBVOL_CREATE_V2", opcode::write::<VolArgs>(BTRFS, 24) as usize),
        ("BTRFS_IOC_SNAP_CREATE_V2", opcode::write::<VolArgs>(BTRFS, 23) as usize),
        ("BTRFS_IOC_SNAP_DESTROY_V2", opcode::write::<VolArgs>(BTRFS, 63) as usize),
        ("BTRFS_IOC_GET_SUBVOL_INFO", opcode::read::<SubvolumeInfo>(BTRFS, 60) as usize),
        ("BTRFS_IOC_GET_SUBVOL_ROOTREF", opcode::read_write::<RootRefs>(BTRFS, 61) as usize),
        ("BTRFS_IOC_INO_LOOKUP_USER", opcode::read_write::<Lookup>(BTRFS, 62) as usize),
        ("BTRFS_IOC_SYNC", opcode::none(BTRFS, 8) as usize),
        ("BTRFS_IOC_QUOTA_CTL", opcode::read_write::<QuotaCtl>(BTRFS, 40) as usize),
        ("BTRFS_IOC_QGROUP_LIMIT", opcode::read::<QgroupLimit>(BTRFS, 43) as usize),
        ("BTRFS_IOC_QUOTA_RESCAN", opcode::write::<Rescan>(BTRFS, 44) as usize),
        ("BTRFS_IOC_QUOTA_RESCAN_WAIT", opcode::none(BTRFS, 46) as usize),
        ("BTRFS_IOC_TREE_SEARCH", opcode::read_write::<Search>(BTRFS, 17) as usize),
        ("BTRFS_IOC_FS_INFO", opcode::read::<FsInfo>(BTRFS, 31) as usize),
        ("BTRFS_IOC_SCRUB", opcode::read_write::<ScrubArgs>(BTRFS, 27) as usize),
        ("BTRFS_IOC_SEND", opcode::write::<SendArgs>(BTRFS, 38) as usize),
        ("BTRFS_IOC_SUBVOL_SETFLAGS", opcode::write::<u64>(BTRFS, 26) as usize),
        ("sizeof(struct fstrim_range)", size_of::<Trim>()),
        ("FITRIM", opcode::read_write::<Trim>(b'X', 121) as usize),
        ("BTRFS_SUBVOL_RDONLY", READ_ONLY as usize),
        ("BTRFS_ROOT_SUBVOL_RDONLY", IS_READ_ONLY as usize),
    ]
}

#[test]
fn pure_structures_and_numbers_are_those_of_the_kernels_headers() {
    let place = tempfile::tempdir().unwrap();
    let (source, program) = (place.path().join("ask.c"), place.path().join("ask"));
    let expected = expected();
    let lines: Vec<_> =
        expected.iter().map(|(what, _)| format!("printf(\"%zu\\n\", (size_t)({what}));")).collect();
    let headers = ["stddef.h", "stdio.h", "sys/ioctl.h", "linux/fs.h", "linux/btrfs.h", "linux/btrfs_tree.h"];
    let headers: String = headers.iter().map(|header| format!("#include <{header}>\n")).collect();
    std::fs::write(&source, format!("{headers}int main(void) {{\n{}\nreturn 0; }}\n", lines.join("\n")))
        .unwrap();
    let cc = Command::new("cc").arg("-o").arg(&program).arg(&source).output().expect("the compiler of C");
    assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
    let answer = Command::new(&program).output().unwrap();
    let answer = String::from_utf8(answer.stdout).unwrap();
    let answers: Vec<usize> = answer.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(answers.len(), expected.len());
    for ((what, here), there) in expected.iter().zip(answers) {
        assert_eq!(*here, there, "{what}");
    }
}

#[test]
fn pure_a_name_that_does_not_fit_is_refused() {
    assert!(VolArgs::new(&[b'n'; 4039], 0, 0).is_ok());
    assert_eq!(VolArgs::new(&[b'n'; 4040], 0, 0).err(), Some(Errno::NAMETOOLONG));
}
