//! Which network a container is on.

use crate::core::Core;
use crate::error::{Error, Result};
use tinyd_engine::NetworkMode;
use tinyd_net::{Namespace, NetworkSpec, NetworkState};

impl Core {
    /// The network that is asked for, and the namespace that a container on it lives in.
    pub(crate) fn network(&self, wanted: &NetworkMode) -> Result<(NetworkState, Namespace)> {
        let name = match wanted {
            NetworkMode::None => "none",
            NetworkMode::Host => "host",
            NetworkMode::Named(name) => return Err(Error::NoSuchNetwork { name: name.clone() }),
        };
        let driver = self.networks.iter().find(|driver| driver.name() == name);
        let driver = driver.ok_or_else(|| Error::NoSuchNetwork { name: name.to_owned() })?;
        let network = driver.create(&NetworkSpec::named(name)).map_err(|source| Error::Network { source })?;
        let namespace = driver.namespace(&network);
        Ok((network, namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher};
    use tinyd_net::FixedDriver;

    #[test]
    fn pure_a_network_without_its_driver_is_none_that_there_is() {
        let (_place, mut core) = testing::core(FakeLauncher::succeeding());
        assert_eq!(core.network(&NetworkMode::Host).unwrap().1, Namespace::Host);
        assert_eq!(core.network(&NetworkMode::None).unwrap().1, Namespace::Own);
        core.networks = vec![Box::new(FixedDriver::NONE)];
        assert!(matches!(core.network(&NetworkMode::Host), Err(Error::NoSuchNetwork { .. })));
        assert_eq!(core.network(&NetworkMode::None).unwrap().0.spec.name, "none");
        let named = NetworkMode::Named("blue".to_owned());
        assert!(matches!(core.network(&named), Err(Error::NoSuchNetwork { name }) if name == "blue"));
    }
}
