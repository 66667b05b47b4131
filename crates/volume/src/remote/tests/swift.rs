//! A store that speaks S3: OpenStack's Swift, all of it on loopback ports of its own. Debian has no smaller one.

use super::servers::free_port;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The rings: which server has what. The tools for that are a second each, nine times.
const RINGS: &str = "
import sys
from swift.common.ring import RingBuilder
for name, port in zip(['account', 'container', 'object'], sys.argv[2:]):
    ring = RingBuilder(1, 1, 0)
    ring.add_dev({'id': 0, 'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': int(port), 'device': 'disk',
                  'replication_ip': '127.0.0.1', 'replication_port': int(port), 'weight': 1.0, 'meta': ''})
    ring.rebalance()
    ring.get_ring().save(sys.argv[1] + '/' + name + '.ring.gz')
";

/// What stands before the proxy, outermost first; some of it only because s3api wants it.
const PIPELINE: [&str; 8] = [
    "catch_errors",
    "gatekeeper",
    "memcache",
    "listing_formats",
    "s3api",
    "tempauth",
    "slo",
    "versioned_writes",
];

pub(super) struct Swift {
    place: tempfile::TempDir,
    servers: Vec<Child>,
    pub port: u16,
}

impl Swift {
    pub(super) fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("disks/disk")).unwrap();
        let ports: Vec<_> = (0..4).map(|_| free_port()).collect();
        let servers = ports[..3].iter().map(u16::to_string);
        let rings =
            Command::new("/usr/bin/python3").args(["-c", RINGS]).arg(place.path()).args(servers).output();
        let rings = rings.unwrap();
        assert!(rings.status.success(), "{}", String::from_utf8_lossy(&rings.stderr));
        let mut swift = Self { port: ports[3], servers: Vec::new(), place };
        for (name, port) in ["account", "container", "object", "proxy"].iter().zip(&ports) {
            swift.serve(name, *port);
        }
        let until = Instant::now() + Duration::from_secs(120);
        for port in ports {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(Instant::now() < until, "{}", swift.log());
                thread::sleep(Duration::from_millis(50));
            }
        }
        swift
    }

    fn serve(&mut self, name: &str, port: u16) {
        let place = self.place.path();
        let mut config = format!(
            "[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nuser = root\nswift_dir = {0}\n\
             devices = {0}/disks\nmount_check = false\nlog_address = {0}/no-log\n",
            place.display()
        );
        match name {
            "proxy" => {
                config += &format!("[pipeline:main]\npipeline = {} proxy-server\n", PIPELINE.join(" "));
                for filter in PIPELINE {
                    config += &format!("[filter:{filter}]\nuse = egg:swift#{filter}\n");
                    config += match filter {
                        "tempauth" => "user_us_me = geheim .admin\n",
                        // Nobody listens there: it does without.
                        "memcache" => "memcache_servers = 127.0.0.1:1\n",
                        _ => "",
                    };
                }
                config += "[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n";
            }
            _ => {
                config += &format!(
                    "[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
                );
            }
        }
        let file = place.join(format!("{name}.conf"));
        fs::write(&file, config).unwrap();
        let log = fs::File::create(place.join(format!("{name}.log"))).unwrap();
        let server = Command::new(format!("/usr/bin/swift-{name}-server"))
            .arg(file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.servers.push(server.expect("Swift, which `cargo xtask setup` installs"));
    }

    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.place.path().join(name)).unwrap_or_default();
        ["account.log", "container.log", "object.log", "proxy.log"].map(read).concat()
    }

    /// Asks it by a client that is not the one under test.
    pub(super) fn rclone(&self, args: &[&str]) -> String {
        let config = self.place.path().join("rclone.conf");
        let text = format!(
            "[store]\ntype = s3\nprovider = Other\naccess_key_id = us:me\nsecret_access_key = geheim\n\
             endpoint = http://127.0.0.1:{}\nforce_path_style = true\nregion = us-east-1\n",
            self.port
        );
        fs::write(&config, text).unwrap();
        let said =
            Command::new("/usr/bin/rclone").arg("--config").arg(config).args(args).env_clear().output();
        let said = said.unwrap();
        assert!(said.status.success(), "{}{}", String::from_utf8_lossy(&said.stderr), self.log());
        String::from_utf8(said.stdout).unwrap()
    }

    /// A file with the key and its secret, as s3fs reads them; the key has a colon in it.
    pub(super) fn keys(&self, folder: &Path) -> PathBuf {
        super::servers::secret(folder, "AWSAccessKeyId=us:me\nAWSSecretKey=geheim\n")
    }
}

impl Drop for Swift {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
