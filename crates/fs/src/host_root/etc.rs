//! What of the host's `/etc` a container may see.

/// Files and folders below `/etc` that are copied: how programs are found and linked, whom to trust, which names stand for
/// which numbers. None of them is a secret; of folders only what every user may read is taken.
pub(super) const ALLOWED: [&str; 13] = [
    "alternatives",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ssl/certs",
    "ssl/openssl.cnf",
    "ca-certificates.conf",
    "pki/tls/certs",
    "nsswitch.conf",
    "localtime",
    "timezone",
    "services",
    "protocols",
];

/// The users of a container: nobody of the host's. `65534` is whom the kernel shows for owners that are not mapped.
pub(super) const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
user:x:1000:1000:user:/home/user:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";

/// Their groups, and those that device nodes and terminals belong to.
pub(super) const GROUP: &str = "\
root:x:0:
daemon:x:1:
bin:x:2:
tty:x:5:
mail:x:8:
www-data:x:33:
user:x:1000:
nogroup:x:65534:
";

/// For hosts without one of their own: names come from files, hosts from files and DNS.
pub(super) const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";
