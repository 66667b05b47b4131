//! What a bridged network will be: what was asked for, checked, with the rest chosen.

use super::choice::OPTION;
use super::{source, walls};
use crate::error::kernel;
use crate::link::{Links, Route};
use crate::pool::{self, Pool};
use crate::{NetworkSpec, Result, plan};

/// Fills in whatever is left open. Has no effect.
pub(super) fn fill(links: &mut Links, wanted: &NetworkSpec, pools: &[Pool]) -> Result<NetworkSpec> {
    let mut spec = wanted.clone();
    source::by_one_name(&mut spec);
    let known = [OPTION, walls::OPTION, source::OPTION];
    if let Some(option) = spec.options.keys().find(|option| !known.contains(&option.as_str())) {
        let problem = format!("is none of the driver bridge: it has {}", known.join(", "));
        return Err(plan::invalid(&spec, format!("the option {option:?}"), problem));
    }
    walls::check(&spec)?;
    plan::check(&spec)?;
    let routes = links.all_routes().map_err(kernel(&spec.name, "read", "the host's routes"))?;
    let taken = plan::taken(links, &routes, &spec)?;
    plan::check_free(&spec, &taken)?;
    if !spec.subnets.iter().any(|subnet| subnet.address.is_ipv4()) && spec.subnets.is_empty() {
        let Some(subnet) = pool::choose(pools, &taken) else {
            let problem = "can be found that nothing on this host uses: choose one with --subnet";
            return Err(plan::invalid(&spec, "no subnet".to_owned(), problem));
        };
        spec.subnets.push(subnet);
    }
    let has_six = spec.subnets.iter().any(|subnet| subnet.address.is_ipv6());
    let is_way_out =
        |route: &Route| route.table == Route::MAIN && route.to.length == 0 && route.to.address.is_ipv6();
    let by_default =
        || wanted.subnets.is_empty() && plan::carries_six(&spec) && routes.iter().any(is_way_out);
    if !has_six && spec.ipv6.unwrap_or_else(by_default) {
        spec.subnets.push(pool::local_v6(chance(&spec)?, 0));
    }
    spec.ipv6 = Some(spec.subnets.iter().any(|subnet| subnet.address.is_ipv6()));
    spec.gateways = plan::gateways(&spec).into_iter().map(|gateway| gateway.address).collect();
    source::check(links, &spec)?;
    Ok(spec)
}

/// Forty bits of chance, which RFC 4193 asks for.
fn chance(spec: &NetworkSpec) -> Result<[u8; 5]> {
    let mut bytes = [0; 5];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| kernel(&spec.name, "get", "random bytes")(errno.into()))?;
    Ok(bytes)
}
