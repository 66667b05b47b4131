use crate::testing::Bench;
use tinyd_engine::NetworkCreate;

#[test]
fn every_option_of_a_new_network_arrives() {
    let bench = Bench::new();
    let line = "network create -d macvlan --subnet 10.9.0.0/24 --subnet fd00::/64 --gateway 10.9.0.1 --gateway fd00::1 \
                --ip-range 10.9.0.128/25 --exclude 10.9.0.130 --aux-address printer=fd00::9 --internal --ipv6=false --label a=b --label c -o parent=eth0 --opt x=y=z --mtu 1400 web";
    let done = bench.run(line);
    assert_eq!((done.code, done.stdout.as_str()), (0, "web-id\n"), "{}", done.stderr);
    let pairs = |all: &[(&str, &str)]| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let wanted = NetworkCreate {
        name: Some("web".into()),
        driver: Some("macvlan".into()),
        subnets: ["10.9.0.0/24", "fd00::/64"].map(|text| text.parse().expect("a subnet")).to_vec(),
        gateways: ["10.9.0.1", "fd00::1"].map(|text| text.parse().expect("an address")).to_vec(),
        ranges: vec!["10.9.0.128/25".parse().expect("a range")],
        excluded: ["10.9.0.130", "fd00::9"].map(|text| text.parse().expect("an address")).to_vec(),
        ipv6: Some(false),
        internal: true,
        mtu: Some(1400),
        options: pairs(&[("parent", "eth0"), ("x", "y=z")]),
        labels: pairs(&[("a", "b"), ("c", "")]),
    };
    assert_eq!(bench.engine.network(), wanted);
    for (line, ipv6) in [("--ipv6 web", Some(true)), ("web", None), ("--ipv6=true", Some(true))] {
        assert_eq!(bench.run(&format!("network create {line}")).code, 0, "{line}");
        assert_eq!(
            bench.engine.network(),
            NetworkCreate { ipv6, name: line.ends_with("web").then(|| "web".into()), ..Default::default() }
        );
    }
}

#[test]
fn what_is_no_address_is_refused_in_one_line() {
    for (line, part) in [
        ("--subnet 10.9.0.0 web", "10.88.0.0/16"),
        ("--subnet 10.9.0.0/33 web", "10.88.0.0/16"),
        ("--subnet 10.9.0/24 web", "10.88.0.0/16"),
        ("--ip-range x web", "--ip-range"),
        ("--exclude printer=x web", "--exclude"),
        ("--gateway 10.9.0 web", "--gateway"),
        ("--mtu big web", "--mtu"),
        ("--mtu -1 web", "'-1'"),
        ("--ipv6=maybe web", "maybe"),
        ("--label =x web", "--label"),
        ("-o mtu web", "--opt"),
        ("web db", "db"),
    ] {
        let bench = Bench::new();
        let done = bench.run(&format!("network create {line}"));
        assert_eq!((done.code, done.stdout.as_str()), (2, ""), "{line}: {}", done.stderr);
        assert!(done.stderr.contains(part), "{line}: {}", done.stderr);
        assert_eq!(done.stderr.lines().count(), 1, "{line}: {}", done.stderr);
        assert!(bench.engine.calls().is_empty(), "{line}: the engine was asked");
    }
    assert_eq!(Bench::new().run("network").code, 2);
    assert_eq!(Bench::new().run("network frobnicate").code, 2);
    assert_eq!(Bench::new().run("network rm").code, 2);
}

#[test]
fn the_list_has_the_columns_of_the_seeds_and_speaks_to_programs() {
    for verb in ["list", "ls"] {
        let text = Bench::new().run(&format!("network {verb}")).stdout;
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["SUBNET", "NAME", "DRIVER", "CONTAINERS"]);
        assert_eq!(rows[1], ["-", "none", "none", "2"]);
        assert_eq!(rows[2], ["10.9.0.0/24,", "fd00::/64", "web", "bridge", "0"]);
    }
    let bench = Bench::new();
    assert_eq!(bench.run("network ls -q").stdout, "6e6f6e650000\n0123456789ab\n");
    assert_eq!(
        bench.run("network ls -q --no-trunc").stdout.lines().last(),
        Some("0123456789abcdef0123456789abcdef")
    );
    assert_eq!(
        bench.run("network ls --format {{.Name}}={{.Subnet}}").stdout,
        "none=\nweb=10.9.0.0/24,fd00::/64\n"
    );
    let json = bench.run("network ls --format json").stdout;
    let row: serde_json::Value = serde_json::from_str(json.lines().last().expect("a line")).expect("JSON");
    assert_eq!(
        (&row["IPv6"], &row["Containers"], &row["Driver"]),
        (&true.into(), &0.into(), &"bridge".into())
    );
    assert!(row["CreatedAt"].as_str().is_some_and(|time| time.ends_with('Z')), "{row}");
    let words = ["network", "ls", "--format", r"table {{.ID}}\t{{.Name}}"].map(Into::into).to_vec();
    assert!(bench.run_words(words).stdout.starts_with("NETWORK ID     NAME\n6e6f6e650000   none\n"));
    assert_eq!(bench.run("network ls --format {{.Nope}}").code, 2);
}

#[test]
fn networks_are_shown_and_removed_by_all_their_verbs() {
    for verb in ["delete", "rm", "remove"] {
        let bench = Bench::new();
        let done = bench.run(&format!("network {verb} web nosuch db"));
        assert_eq!((done.code, done.stdout.as_str()), (1, "web-id\ndb-id\n"), "{verb}");
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        assert_eq!(bench.engine.calls()[0], "remove_network web false");
        bench.run(&format!("network {verb} -f web"));
        assert_eq!(bench.engine.calls().last().map(String::as_str), Some("remove_network web true"));
    }
    let done = Bench::new().run("network inspect web nosuch");
    let array: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(
        (done.code, &array[0]["Name"], array.as_array().map(Vec::len)),
        (1, &"web-id".into(), Some(1))
    );
    assert_eq!(Bench::new().run("network inspect -f {{.Scope}} web db").stdout, "local\nlocal\n");
    for line in ["network prune", "network prune -f"] {
        assert_eq!(Bench::new().run(line).stdout, "a\nb\n");
    }
    assert_eq!(Bench::new().run("network reload").stdout, "a\nb\n");
    assert_eq!(Bench::new().run("network reload web db").stdout, "web-id\ndb-id\n");
    let done = Bench::new().run("network reload nosuch");
    assert_eq!((done.code, done.stderr.lines().count()), (1, 1), "{}", done.stderr);
}

#[test]
fn help_names_every_verb_with_its_other_words() {
    let help = Bench::new().run("network --help").stdout;
    for word in ["create", "list", "ls]", "inspect", "delete", "rm", "prune", "reload", "Tiny-docker"] {
        assert!(help.contains(word), "no {word} in {help}");
    }
    let help = Bench::new().run("help network rm").stdout;
    assert!(help.contains("--force") && help.contains("Examples:"), "{help}");
}
