//! The options that `run` and `create` share, and how they become a [`ContainerSpec`].

mod devices;
pub(crate) mod env;
pub(crate) mod health;
mod limits;
mod log;
mod mount;
mod mounts;
mod network;
mod publish;
mod rate;
mod resources;
pub(crate) mod restart;
mod secret;
mod security;
mod session;
pub(crate) mod signal;
mod volume;

pub(crate) use limits::memory;
pub(crate) use network::{Mac, mac};
pub(crate) use publish::{Published, host_port, inner_port, parse as published, settle as settled_ports};
pub(crate) use resources::ResourceOptions;
pub(crate) use security::{label, map, option_pair as option};
pub(crate) use session::{KeyOptions, SessionOptions};

use crate::argv::image::{self, PROGRAM_FOLDERS};
use crate::failure::Failure;
use crate::settings::Settings;
use std::path::PathBuf;
use tinyd_engine::{
    After, ContainerSpec, Device, RestartPolicy, SecretMount, Security, TmpfsMount, Ulimit, UserNamespace,
    VolumesFrom,
};

/// What a container should be.
#[derive(clap::Args, Debug)]
pub(crate) struct ContainerOptions {
    /// Keep the command's standard input open and connect it; -it, -ti and --it are this with --tty
    #[arg(short, long)]
    interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// The image, in place of the first word: every word after the options is then the command. -i IMAGE is the same
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// A unique name; by default the container is known by its id
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Host name inside; by default the first 12 digits of the id
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Set a variable; NAME alone takes its value from here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the variables that a file holds, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// First folder of the command
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    /// Run the command as this user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// A program to stand before the command
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Remove the container when its command has ended
    #[arg(long)]
    rm: bool,
    /// Make the root file system read-only
    #[arg(long)]
    read_only: bool,
    /// Show a volume, or a folder or file of this machine, inside: data:/data, /srv/data:/data:ro; a path inside alone gets a
    /// volume of its own. OPTIONS: ro, rw, nocopy, idmap, z, Z, rslave, rshared. May be given again (also --v)
    #[arg(short, long, alias = "v", value_name = "[SRC:]DST[:OPTIONS]", value_parser = volume::parse)]
    volume: Vec<volume::Mount>,
    /// The same in many words, where a path of this machine must be there: type=bind|volume|image|tmpfs,source=…,target=…, readonly,
    /// volume-subpath=…, volume-label=…, bind-propagation=…, bind-recursive=…, idmap; may be given again
    #[arg(long, value_name = "WORDS", value_parser = mount::parse)]
    mount: Vec<mount::Mount>,
    /// Show the volumes and folders of another container inside, at the same places; may be given again
    #[arg(long, value_name = "CONTAINER[:ro|:rw]", value_parser = mounts::from)]
    volumes_from: Vec<VolumesFrom>,
    /// The kind of volume for those that --volume makes; local by default
    #[arg(long, value_name = "DRIVER")]
    volume_driver: Option<String>,
    #[command(flatten)]
    network: network::NetworkOptions,
    #[command(flatten)]
    resources: ResourceOptions,
    /// Make the container's control group in this one, a path from each hierarchy's root; tinyd by default
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
    /// Give it a device of this machine, or a folder of devices; may be given again
    #[arg(long, value_name = "SRC[:DST][:rwm]", value_parser = devices::device)]
    device: Vec<Device>,
    /// Put a small init in front of the command, which reaps orphans and passes signals on
    #[arg(long)]
    init: bool,
    /// Give it a capability, or ALL; may be given again
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Take a capability from it, or ALL; may be given again
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// Take the walls away: every capability and device, this machine's user ids, no filter, nothing hidden
    #[arg(long)]
    privileged: bool,
    /// Mount a file system in memory: /tmp, /run:size=64m,mode=755; may be given again
    #[arg(long, value_name = "DST[:OPTIONS]", value_parser = security::tmpfs)]
    tmpfs: Vec<TmpfsMount>,
    /// Show a secret as a file in memory: db is read at /run/secrets/db by the command's user; target=, uid=, gid= and mode= say
    /// otherwise. May be given again
    #[arg(long, value_name = "NAME[,OPTION=VALUE]", value_parser = secret::parse)]
    secret: Vec<SecretMount>,
    /// Let the container write no more than this to its root file system, of which df inside tells; at least 16m
    #[arg(long, value_name = "SIZE", value_parser = limits::memory)]
    storage_size: Option<u64>,
    /// Size of /dev/shm; 64m by default
    #[arg(long, value_name = "SIZE", value_parser = limits::memory)]
    shm_size: Option<u64>,
    /// Limit a process: nofile=1024:2048, core=0, core=unlimited; may be given again
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = security::ulimit)]
    ulimit: Vec<Ulimit>,
    /// Set a kernel setting of the container's namespaces: net.ipv4.ip_forward=1; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = security::sysctl)]
    sysctl: Vec<(String, String)>,
    /// no-new-privileges, no-32bit, seccomp=unconfined, or seccomp=FILE with a profile in the OCI specification's shape
    #[arg(long, value_name = "OPTION", value_parser = security::option)]
    security_opt: Vec<security::SecurityOption>,
    /// Kill programs of i386 and x32: their system calls show a filter less than those of 64 bits
    #[arg(long = "no-32bit")]
    no_32bit: bool,
    /// Start it again when it has ended: no, on-failure, on-failure:N, always, unless-stopped; after a pause that grows up to a minute
    #[arg(long, value_name = "POLICY", value_parser = restart::parse, default_value = "no", hide_default_value = true)]
    restart: RestartPolicy,
    /// Start it when another container is there: healthy, where that has a check, or running; NAME:started, NAME:healthy and
    /// NAME:done (its command has ended well) say which. May be given again
    #[arg(long, value_name = "CONTAINER[:CONDITION]")]
    after: Vec<After>,
    #[command(flatten)]
    health: health::HealthOptions,
    /// Note something about the container; may be given again
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = security::label)]
    label: Vec<(String, String)>,
    #[command(flatten)]
    log: log::LogOptions,
    /// The signal that asks the command to end; TERM by default
    #[arg(long, value_name = "SIGNAL", value_parser = signal::parse)]
    stop_signal: Option<i32>,
    /// Seconds that the command has to end after it was asked; 10 by default
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<u32>,
    /// User namespace: auto (the default) gives the container ids of its own, host shares this machine's
    #[arg(long, value_name = "MODE", value_parser = user_namespace, default_value = "auto", hide_default_value = true)]
    userns: UserNamespace,
    /// The image (unless it was named by -i) and the command
    #[arg(value_name = "IMAGE COMMAND", hide = true)]
    words: Vec<String>,
}

/// A container that is wanted, and how it was asked for.
pub(crate) struct Wanted {
    pub(crate) spec: ContainerSpec,
    /// The image was named by its option: such a container is detached unless a terminal or its input is wanted.
    pub(crate) image_named: bool,
    /// What is said when it is done.
    pub(crate) notes: Vec<String>,
}

impl ContainerOptions {
    /// Whether files are read to make a specification of it.
    pub(crate) fn reads_files(&self) -> bool {
        let profile =
            |option: &security::SecurityOption| matches!(option, security::SecurityOption::Profile(_));
        !self.env_file.is_empty() || self.security_opt.iter().any(profile)
    }

    /// Settles what the words mean and reads what the options name.
    pub(crate) fn into_spec(self, settings: &Settings) -> Result<Wanted, Failure> {
        let image_named = self.image.is_some();
        // An empty entry point clears the image's and stands before nothing.
        let entrypoint = self.entrypoint.map(|program| match program.is_empty() {
            true => Vec::new(),
            false => vec![program],
        });
        let has_entrypoint = entrypoint.as_ref().is_some_and(|words| !words.is_empty());
        let choice = image::choose(self.image, self.words, has_entrypoint, PROGRAM_FOLDERS)?;
        let mut security = security::collect(self.security_opt)?;
        security.no_32bit |= self.no_32bit;
        let connected = self.network.connected(settings)?;
        let mounts =
            mounts::Mounts::collect(self.volume, self.mount, self.tmpfs, self.volume_driver.as_deref());
        let spec = ContainerSpec {
            image: choice.image,
            command: choice.command,
            entrypoint,
            name: self.name,
            hostname: self.hostname,
            env: env::collect(&self.env_file, self.env)?,
            workdir: self.workdir,
            user: self.user,
            tty: self.tty,
            // `-t -i IMAGE`: the letter was taken for the image, and meant for both.
            interactive: self.interactive || (image_named && self.tty),
            remove: self.rm,
            read_only: self.read_only,
            resources: self.resources.into_resources(),
            cgroup_parent: self.cgroup_parent,
            devices: self.device,
            init: self.init,
            binds: mounts.binds,
            volumes: mounts.volumes,
            images: mounts.images,
            volumes_from: self.volumes_from,
            ports: connected.ports,
            exposed: connected.exposed,
            publish_all: connected.publish_all,
            network: connected.network,
            dns: connected.dns,
            userns: self.userns,
            tmpfs: mounts.tmpfs,
            secrets: self.secret,
            storage_size: self.storage_size,
            shm_size: self.shm_size,
            ulimits: self.ulimit,
            sysctls: security::map(self.sysctl),
            security: Security {
                cap_add: self.cap_add,
                cap_drop: self.cap_drop,
                privileged: self.privileged,
                ..security
            },
            labels: security::map(self.label),
            log: self.log.collect(settings)?,
            stop_signal: self.stop_signal,
            stop_timeout: self.stop_timeout,
            restart: self.restart,
            health: self.health.check()?,
            after: self.after,
        };
        Ok(Wanted { spec, image_named, notes: connected.note.into_iter().collect() })
    }
}

fn user_namespace(text: &str) -> Result<UserNamespace, String> {
    match text {
        "auto" => Ok(UserNamespace::Auto),
        "host" => Ok(UserNamespace::Host),
        _ => Err("neither 'auto' nor 'host'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use std::path::PathBuf;
    use std::time::Duration;
    use tinyd_engine::{
        After, AfterCondition, BindMount, ContainerSpec, Device, HealthCheck, HugepageLimit, ImageMount,
        IoLimit, LogDriver, LogOptions, NetworkMode, OnUnhealthy, PortMapping, PortProtocol, Resources,
        RestartPolicy, SecretMount, Security, TmpfsMount, Ulimit, UserNamespace, VolumeMount, VolumesFrom,
    };

    fn spec(line: &str) -> ContainerSpec {
        let bench = Bench::new();
        let done = bench.run(&format!("create {line}"));
        assert_eq!(done.code, 0, "{line}: {}", done.stderr);
        bench.engine.spec()
    }

    #[test]
    fn every_option_arrives() {
        let spec = spec(
            "--name c1 --hostname h -e A=1 -e A=2 -w /w -u 1:2 --entrypoint /e --rm --read-only --cpu 10000 --mem 500m \
             -cpushare 512 -cpuset 0-1 --cpuset-mems 0 --memory-swap -1 --memory-reservation 100m --pids-limit -1 --userns host --tmpfs /t:size=1m --shm-size 1m --ulimit core=0 --sysctl kernel.shmmax=1 -l a=b \
             --security-opt no-new-privileges --no-32bit --stop-signal INT --log-driver json-file --log-opt max-size=1m --log-opt max-file=5 --stop-timeout 3 --restart on-failure:5 --after db:healthy --health-cmd ok --health-interval 5s --health-timeout 500ms --health-retries 2 --health-start-period 1m --on-unhealthy kill --cgroup-parent x/y --device /dev/fuse:rw --init --cap-add NET_ADMIN --cap-drop ALL --privileged --device-read-bps /dev/a:1m \
             --device-write-iops /dev/a:5 --hugetlb-limit 2MB=4m --net-rate-egress 10mbit --net-rate-ingress 1mbps --net-cls-classid 10:1 -v /a:/b -v /c:/d:ro -v data:/v:nocopy --volume-driver local --mount type=bind,src=/e,dst=/f --mount type=tmpfs,dst=/t2 --mount type=image,src=/img,dst=/i --secret db,mode=440 --storage-size 1g --volumes-from db:ro --net web --ip 10.9.0.5 --ip6 fd00::5 --mac-address 02:00:00:00:00:05 --network-alias w -P --expose 81-82 --dns 9.9.9.9 --dns-search . --dns-opt ndots:2 --add-host me:host-gateway -p 8080:80 --publish=[::1]:53:53/udp -it host sh -c x",
        );
        let expected = ContainerSpec {
            after: vec![After { container: "db".to_owned(), condition: AfterCondition::Healthy }],
            image: "host".into(),
            command: ["sh", "-c", "x"].map(String::from).to_vec(),
            entrypoint: Some(vec!["/e".into()]),
            name: Some("c1".into()),
            hostname: Some("h".into()),
            env: ["A=1", "A=2"].map(String::from).to_vec(),
            workdir: Some("/w".into()),
            user: Some("1:2".into()),
            tty: true,
            interactive: true,
            remove: true,
            read_only: true,
            resources: Resources {
                cpu_quota: Some(10_000),
                cpu_period: Some(100_000),
                cpu_shares: Some(512),
                cpuset_cpus: Some("0-1".into()),
                cpuset_mems: Some("0".into()),
                memory: Some(500 << 20),
                memory_swap: Some(-1),
                memory_reservation: Some(100 << 20),
                pids: Some(-1),
                io: vec![IoLimit {
                    device: "/dev/a".into(),
                    read_bps: Some(1 << 20),
                    write_iops: Some(5),
                    ..IoLimit::default()
                }],
                hugepages: vec![HugepageLimit { page_size: "2MB".into(), bytes: 4 << 20 }],
                net_egress: Some(10_000_000),
                net_ingress: Some(8_000_000),
                net_class: Some(0x10_0001),
            },
            cgroup_parent: Some("x/y".into()),
            devices: vec![Device {
                source: "/dev/fuse".into(),
                target: "/dev/fuse".into(),
                access: "rw".into(),
            }],
            init: true,
            binds: vec![
                BindMount::new(PathBuf::from("/a"), PathBuf::from("/b")),
                BindMount::new(PathBuf::from("/c"), PathBuf::from("/d")).read_only(),
                BindMount { strict: true, ..BindMount::new("/e", "/f") },
            ],
            volumes: vec![VolumeMount {
                no_copy: true,
                driver: Some("local".into()),
                ..VolumeMount::named("data", "/v")
            }],
            images: vec![ImageMount { image: "/img".into(), target: "/i".into(), ..ImageMount::default() }],
            storage_size: Some(1 << 30),
            secrets: vec![SecretMount { mode: Some(0o440), ..SecretMount::named("db") }],
            volumes_from: vec![VolumesFrom { container: "db".into(), read_only: true }],
            ports: vec![
                PortMapping {
                    host_ip: None,
                    host_port: Some(8080),
                    container_port: 80,
                    protocol: PortProtocol::Tcp,
                },
                PortMapping {
                    host_ip: Some("::1".parse().expect("an address")),
                    host_port: Some(53),
                    container_port: 53,
                    protocol: PortProtocol::Udp,
                },
                PortMapping {
                    host_ip: None,
                    host_port: None,
                    container_port: 81,
                    protocol: PortProtocol::Tcp,
                },
                PortMapping {
                    host_ip: None,
                    host_port: None,
                    container_port: 82,
                    protocol: PortProtocol::Tcp,
                },
            ],
            network: NetworkMode::Networks(vec![tinyd_engine::NetworkJoin {
                addresses: ["10.9.0.5", "fd00::5"].map(|text| text.parse().expect("an address")).to_vec(),
                mac: Some([2, 0, 0, 0, 0, 5]),
                aliases: vec!["w".into()],
                ..tinyd_engine::NetworkJoin::on("web")
            }]),
            exposed: vec![(81, PortProtocol::Tcp), (82, PortProtocol::Tcp)],
            publish_all: true,
            dns: tinyd_engine::Dns {
                servers: vec!["9.9.9.9".parse().expect("an address")],
                search: vec![".".into()],
                options: vec!["ndots:2".into()],
                hosts: vec![tinyd_engine::ExtraHost { name: "me".into(), address: None }],
            },
            userns: UserNamespace::Host,
            tmpfs: vec![
                TmpfsMount { target: "/t".into(), options: vec!["size=1m".into()] },
                TmpfsMount { target: "/t2".into(), options: Vec::new() },
            ],
            shm_size: Some(1 << 20),
            ulimits: vec![Ulimit { name: "core".into(), soft: Some(0), hard: Some(0) }],
            sysctls: [("kernel.shmmax".to_owned(), "1".to_owned())].into(),
            security: Security {
                no_new_privileges: true,
                no_32bit: true,
                cap_add: vec!["NET_ADMIN".into()],
                cap_drop: vec!["ALL".into()],
                privileged: true,
                ..Security::default()
            },
            labels: [("a".to_owned(), "b".to_owned())].into(),
            log: LogOptions { driver: LogDriver::Files, max_size: Some(1 << 20), max_file: Some(5) },
            stop_signal: Some(2),
            stop_timeout: Some(3),
            restart: RestartPolicy::OnFailure { max_retries: 5 },
            health: Some(HealthCheck {
                command: "ok".into(),
                interval: Duration::from_secs(5),
                timeout: Duration::from_millis(500),
                retries: 2,
                start_period: Duration::from_secs(60),
                on_unhealthy: OnUnhealthy::Kill,
            }),
        };
        assert_eq!(spec, expected);
    }

    #[test]
    fn without_options_all_is_default() {
        let expected =
            ContainerSpec { network: NetworkMode::named("tinyd"), ..ContainerSpec::new("host", ["true"]) };
        assert_eq!(spec("host true"), expected);
    }

    #[test]
    fn memory_needs_no_cpu_and_cpus_are_quotas() {
        assert_eq!(
            spec("--mem 100m host true").resources,
            Resources { memory: Some(104_857_600), ..Default::default() }
        );
        let two_and_a_half =
            Resources { cpu_quota: Some(250_000), cpu_period: Some(100_000), ..Default::default() };
        assert_eq!(spec("--cpus 2.5 host true").resources, two_and_a_half);
    }

    #[test]
    fn the_last_of_an_option_counts() {
        assert_eq!(spec("--name a --name b host true").name.as_deref(), Some("b"));
    }

    #[test]
    fn an_entry_point_may_do_without_a_command() {
        assert_eq!(spec("--entrypoint /bin/ls host").command, Vec::<String>::new());
        assert_eq!(spec("--entrypoint= host true").entrypoint, Some(Vec::new()));
    }

    #[test]
    fn a_terminal_with_a_named_image_is_interactive() {
        let spec = spec("-t -i host sh");
        assert!(spec.tty && spec.interactive && spec.image == "host");
    }
}
