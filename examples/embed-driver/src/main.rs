//! An engine with a kind of network that is not tinyd's. As root, in `examples/embed-driver`:
//! `cargo build && target/debug/embed-driver`.
#![forbid(unsafe_code)]

mod driver;

use driver::LoopDriver;
use std::error::Error;
use tinyd_engine::{ContainerSpec, Engine as _, NetworkCreate, NetworkMode, StartRequest};
use tinyd_manager::{LocalEngine, Parts};

fn main() -> Result<(), Box<dyn Error>> {
    let place = std::env::temp_dir().join(format!("embed-driver-{}", std::process::id()));
    let driver = LoopDriver { folder: place.join("run/loops") };
    let parts = Parts { more_networks: vec![Box::new(driver)], ..Parts::default() };
    let engine = LocalEngine::builder().within(&place).parts(parts).open()?;

    let wanted = |subnets| NetworkCreate {
        name: Some("loops".to_owned()),
        driver: Some("loop".to_owned()),
        subnets,
        ..NetworkCreate::default()
    };
    // The driver's own rule, by the engine's words.
    if let Err(error) = engine.create_network(&wanted(Vec::new())) {
        println!("refused: {error}");
    }
    engine.create_network(&wanted(vec!["10.55.0.0/24".parse()?]))?;
    let script = "cat /proc/net/fib_trie | grep -o -m 1 '10[.]55[.]0[.][0-9]*'";
    let spec = ContainerSpec {
        network: NetworkMode::named("loops"),
        ..ContainerSpec::new("host", ["sh", "-c", script])
    };
    let ended = engine.run(&spec.clone().removed_on_exit(), &StartRequest::attached(None))?.collect()?;
    print!("it has the address {}", String::from_utf8_lossy(&ended.stdout));

    // Its address is free again: the next one gets another, and nothing is held when both have ended.
    let ended = engine.run(&spec.removed_on_exit(), &StartRequest::attached(None))?.collect()?;
    print!("the next one has {}", String::from_utf8_lossy(&ended.stdout));
    println!("nothing is left of them: {}", engine.check(false)?.is_clean());
    println!("removed: {}", engine.remove_network("loops", false)?);
    Ok(std::fs::remove_dir_all(place)?)
}
