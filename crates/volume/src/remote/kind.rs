//! The kinds of servers, and what each has of its own.

/// A kind of server, by the program of the host that mounts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Nfs,
    Nfs4,
    Cifs,
    Sshfs,
    S3,
    Rclone,
}

impl Kind {
    pub(super) fn of(word: &str) -> Option<Self> {
        Some(match word {
            "nfs" => Self::Nfs,
            "nfs4" => Self::Nfs4,
            "cifs" => Self::Cifs,
            "sshfs" => Self::Sshfs,
            "s3" => Self::S3,
            "rclone" => Self::Rclone,
            _ => return None,
        })
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Nfs => "nfs",
            Self::Nfs4 => "nfs4",
            Self::Cifs => "cifs",
            Self::Sshfs => "sshfs",
            Self::S3 => "s3",
            Self::Rclone => "rclone",
        }
    }

    /// The program, and the package of Debian that has it.
    ///
    /// For NFS it is not mount(2): the server's name, its version and the ports of version 3 are agreed on in user space, and
    /// a program that waits for a server can be killed, where a thread of ours in mount(2) would keep our own process.
    pub(super) fn helper(self) -> (&'static str, &'static str) {
        match self {
            Self::Nfs => ("mount.nfs", "nfs-common"),
            Self::Nfs4 => ("mount.nfs4", "nfs-common"),
            Self::Cifs => ("mount.cifs", "cifs-utils"),
            Self::Sshfs => ("sshfs", "sshfs"),
            Self::S3 => ("s3fs", "s3fs"),
            Self::Rclone => ("rclone", "rclone"),
        }
    }

    /// The program serves the mount and runs as long as it; else the kernel does.
    pub(super) fn is_served(self) -> bool {
        matches!(self, Self::Sshfs | Self::S3 | Self::Rclone)
    }

    /// What its servers are called in the kernel's list of file systems.
    pub(super) fn file_system(self) -> &'static str {
        match self {
            Self::Nfs | Self::Nfs4 => "nfs",
            Self::Cifs => "cifs",
            Self::Sshfs | Self::S3 | Self::Rclone => "fuse",
        }
    }

    /// The words that `o` may hold. What is not among them is refused: of what these programs take, some runs programs
    /// (`ssh_command`), writes files, goes into the background (`bg`), shows secrets (`password`) or weakens the host (`suid`).
    pub(super) fn options(self) -> impl Iterator<Item = &'static str> {
        let words = match self {
            Self::Nfs | Self::Nfs4 => NFS,
            Self::Cifs => CIFS,
            Self::Sshfs => SSHFS,
            Self::S3 => S3FS,
            Self::Rclone => RCLONE,
        };
        words.split_whitespace()
    }
}

/// nfs(5).
const NFS: &str = "\
    ac acdirmax acdirmin acregmax acregmin actimeo addr clientaddr cto fg hard intr local_lock lock lookupcache \
    minorversion mountaddr mounthost mountport mountproto mountvers namlen nconnect nfsvers noac noacl noatime \
    nocto nodev nodiratime noexec nointr nolock nordirplus noresvport nosharecache nosuid port proto rdirplus \
    relatime resvport retrans retry ro rsize rw sec sharecache soft softerr sync tcp timeo udp vers";

/// mount.cifs(8).
const CIFS: &str = "\
    actimeo addr cache closetimeo dir_mode domain echo_interval file_mode forcegid forceuid gid guest hard \
    iocharset ip mapchars mapposix max_channels mfsymlinks multichannel noatime nobrl nodev nodfs noexec noperm \
    noserverino nostrictsync nosuid nounix nohandlecache port relatime ro rsize rw seal sec serverino sign soft \
    uid unix username vers wsize";

/// sshfs(1), ssh_config(5).
const SSHFS: &str = "\
    Ciphers Compression ConnectTimeout MACs ServerAliveCountMax ServerAliveInterval StrictHostKeyChecking \
    attr_timeout auto_cache dcache_timeout default_permissions dir_cache direct_io disable_hardlink entry_timeout \
    follow_symlinks gid idmap kernel_cache max_conns noatime nodev noexec nosuid no_readahead port reconnect ro rw \
    sync_readdir transform_symlinks uid umask";

/// s3fs(1).
const S3FS: &str = "\
    compat_dir complement_stat connect_timeout default_acl default_permissions enable_noobj_cache endpoint \
    ensure_diskfree gid list_object_max_keys listobjectsv2 max_dirty_data max_stat_cache_size mp_umask \
    multipart_size multireq_max noatime nocopyapi nodev noexec nomixupload nomultipart norenameapi nosuid \
    notsup_compat_dir noxmlns parallel_count public_bucket readwrite_timeout retries ro rw sigv2 sigv4 \
    stat_cache_expire storage_class uid umask use_path_request_style use_sse";

/// `rclone mount`, without the hyphens before each.
const RCLONE: &str = "\
    attr-timeout buffer-size bwlimit contimeout default-permissions dir-cache-time dir-perms file-perms gid \
    low-level-retries no-checksum no-modtime poll-interval read-only ro timeout transfers uid umask \
    vfs-cache-max-age vfs-cache-max-size vfs-read-chunk-size";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_no_kind_takes_what_would_matter_to_the_host() {
        let harmful = [
            "suid",
            "dev",
            "exec",
            "user",
            "users",
            "owner",
            "group",
            "remount",
            "bind",
            "rbind",
            "move",
            "shared",
            "bg",
            "password",
            "pass",
            "credentials",
            "cred",
            "helper",
            "loop",
            "ssh_command",
            "ProxyCommand",
            "LocalCommand",
            "PermitLocalCommand",
            "KnownHostsCommand",
            "ssh_protocol",
            "sftp_server",
            "directport",
            "passive",
            "slave",
            "Include",
            "PKCS11Provider",
            "SecurityKeyProvider",
            "IdentityAgent",
            "ControlPath",
            "passwd_file",
            "use_cache",
            "tmpdir",
            "logfile",
            "credlib",
            "curldbg",
            "set_check_cache_sigusr1",
            "ahbe_conf",
            "config",
            "password-command",
            "rc",
            "rc-addr",
            "log-file",
            "cache-dir",
            "daemon",
            "nonempty",
            "fsname",
            "no_check_certificate",
            "no-check-certificate",
            "context",
            "x-systemd.automount",
        ];
        for word in ["nfs", "nfs4", "cifs", "sshfs", "s3", "rclone"] {
            let kind = Kind::of(word).unwrap();
            assert_eq!(kind.word(), word);
            for harmful in harmful {
                assert!(!kind.options().any(|word| word == harmful), "{word}: {harmful}");
            }
        }
        assert_eq!(Kind::of("ext4"), None);
    }
}
