//! What the daemon documents of its answers: the answers are so. Metrics are what Prometheus reads.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeMap;

use serde_json::Value;
use tinyd_tests::web::Daemon;
use tinyd_tests::{Container, Env, require, wait_until};

/// What of a value does not fit a schema: as much of JSON Schema as `openapi.json` uses, and a fault for any other word.
fn misfits(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let mut wrong = |what: String| found.push(format!("{at}: {what} in {value}"));
    for (word, rule) in schema.as_object().unwrap() {
        match word.as_str() {
            "$ref" => {
                let path = rule.as_str().unwrap().trim_start_matches('#');
                let target = document.pointer(path).unwrap_or_else(|| panic!("{path} is not there"));
                misfits(document, target, value, at, found);
                return;
            }
            "type" => {
                let kinds = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                let fits = |kind: &Value| match kind.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("the type {other}"),
                };
                if !kinds.iter().any(fits) {
                    wrong(format!("not of type {rule}"));
                }
            }
            "enum" if !rule.as_array().unwrap().contains(value) => wrong(format!("none of {rule}")),
            "minimum" if value.as_f64() < rule.as_f64() => wrong(format!("less than {rule}")),
            "maximum" if value.as_f64() > rule.as_f64() => wrong(format!("more than {rule}")),
            "required" => {
                let names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                names.filter(|name| value.get(name).is_none()).for_each(|name| wrong(format!("no {name}")));
            }
            _ => {}
        }
    }
    let known =
        ["$ref", "type", "enum", "minimum", "maximum", "required", "properties", "items", "description"];
    for word in schema.as_object().unwrap().keys() {
        assert!(known.contains(&word.as_str()) || word == "additionalProperties", "the word {word}");
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        match (schema["properties"].get(name), &schema["additionalProperties"]) {
            (Some(schema), _) => misfits(document, schema, inner, &at, found),
            (None, schema @ Value::Object(_)) => misfits(document, schema, inner, &at, found),
            (None, _) => found.push(format!("{at}: not documented")),
        }
    }
    for inner in value.as_array().into_iter().flatten() {
        misfits(document, &schema["items"], inner, at, found);
    }
}

#[test]
fn answers_are_as_they_are_documented() {
    require!(root);
    let env = Env::new();
    env.tinyd(["volume", "create", "data"]).ok();
    let words =
        ["run", "-d", "--name", "one", "-v", "data:/data", "--label", "a=b", "--cpu", "20000", "host"];
    let one = Container::start(&env, words.iter().chain(&["sh", "-c", "echo hello; sleep 300"]).copied());
    Container::start(&env, ["run", "-d", "--name", "two", "host", "sleep", "300"]);
    env.tinyd(["pause", "two"]).ok();
    env.tinyd(["create", "host", "true"]).ok();
    env.tinyd(["run", "--name", "three", "host", "false"]).fails(1);
    let daemon = Daemon::start(&env, &[]);
    wait_until("it has said something", || env.tinyd(["logs", "one"]).ok().text() == "hello");
    let document = daemon.json("/openapi.json");
    let mut seen = 0;
    for (path, verbs) in document["paths"].as_object().unwrap() {
        let schema = &verbs["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            continue;
        }
        let value = daemon.json(&path.replace("{id}", &one.id));
        let mut found = Vec::new();
        misfits(&document, schema, &value, path, &mut found);
        assert!(found.is_empty(), "{found:#?}");
        // No list is empty, or it would prove nothing of what is in it.
        let mut lists = value.as_object().unwrap().values().filter_map(Value::as_array);
        assert!(lists.all(|list| !list.is_empty()), "{path}: {value}");
        seen += 1;
    }
    assert_eq!(seen, 7);
    for path in document["paths"].as_object().unwrap().keys() {
        let asked = daemon.ask("HEAD", &path.replace("{id}", &one.id).replace("{verb}", "start"), "", "");
        let is_read = document["paths"][path].get("get").is_some();
        assert_eq!(asked.status == 200, is_read, "{path}");
    }
    let refusal = serde_json::from_str(&daemon.get("/nothing").body).unwrap();
    let mut found = Vec::new();
    misfits(&document, &document["components"]["schemas"]["Refusal"], &refusal, "/nothing", &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

/// The samples by name and labels, and the kinds by name: of each line that is neither, the test fails.
fn read(text: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let (mut samples, mut kinds) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{name} twice");
        }
    }
    (samples, kinds)
}

#[test]
fn metrics_have_the_usual_names_and_the_kernels_values() {
    require!(root);
    let env = Env::new();
    let words = ["run", "-d", "--name", "busy", "--cpu", "20000", "-m", "64m", "host", "sh", "-c"];
    let busy = Container::start(&env, words.iter().chain(&["while :; do :; done"]).copied());
    env.tinyd(["create", "--name", "made", "host", "true"]).ok();
    let daemon = Daemon::start(&env, &[]);
    let answer = daemon.get("/metrics");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((answer.status, answer.header("content-type")), (200, kind));
    let labels = format!("{{id=\"{}\",name=\"busy\",image=\"host\"}}", busy.id);
    let scrape = || read(&daemon.get("/metrics").body);
    wait_until("it was throttled", || {
        scrape().0[&format!("container_cpu_cfs_throttled_periods_total{labels}")] > 3.0
    });
    let (samples, kinds) = scrape();
    let of = |name: &str| samples[&format!("{name}{labels}")];
    assert_eq!(of("container_spec_memory_limit_bytes"), 67_108_864.0);
    assert_eq!((of("container_spec_cpu_quota"), of("container_spec_cpu_period")), (20_000.0, 100_000.0));
    let (working, usage) = (of("container_memory_working_set_bytes"), of("container_memory_usage_bytes"));
    assert!(0.0 < working && working <= usage && usage <= 67_108_864.0, "{working} {usage}");
    assert!(of("container_start_time_seconds") > 1.7e9);
    assert_eq!((of("container_threads"), of("container_oom_events_total")), (1.0, 0.0));
    assert_eq!(kinds["container_cpu_usage_seconds"], "counter");
    assert_eq!(kinds["container_memory_usage_bytes"], "gauge");
    assert!(
        of("container_fs_reads_bytes_total") >= 0.0 && of("container_network_receive_bytes_total") >= 0.0
    );
    assert_eq!(kinds["container_network_transmit_bytes"], "counter");
    let states = ["created", "running", "paused", "restarting", "stopped"]
        .map(|state| samples[&format!("tinyd_containers{{state=\"{state}\"}}")]);
    assert_eq!(states, [1.0, 1.0, 0.0, 0.0, 0.0]);
    // One that is in a pause before its next start is in a state, too.
    env.tinyd(["run", "-d", "--name", "crash", "--restart", "always", "host", "false"]).ok();
    wait_until("it waits for its next start", || scrape().0["tinyd_containers{state=\"restarting\"}"] == 1.0);
    wait_until("and is shown in it", || {
        let overview = daemon.json("/api/overview");
        let all = overview["containers"].as_array().unwrap().clone();
        all.iter().any(|one| one["name"] == "crash" && one["state"] == "RESTARTING")
    });
    env.tinyd(["rm", "-f", "crash"]).ok();
    // A fifth of a processor: in seconds, and only forward.
    let before = of("container_cpu_usage_seconds_total");
    wait_until("it has used more", || {
        let now = scrape().0[&format!("container_cpu_usage_seconds_total{labels}")];
        now > before + 0.1 && now < before + 10.0
    });
}
