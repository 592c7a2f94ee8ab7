//! The development accounts of anvil. Their keys are in every Ethereum tool's manual: never send them anything real.
use alloy::{
    primitives::{Address, address},
    signers::local::PrivateKeySigner,
};
use eyre::WrapErr;

/// An account that anvil funds and signs for.
#[derive(Clone, Copy, Debug)]
pub struct DevAccount {
    /// What it is for.
    pub role: &'static str,
    /// Its address.
    pub address: Address,
    /// Its well-known key.
    pub private_key: &'static str,
}

impl DevAccount {
    /// Its key, to sign with.
    ///
    /// # Errors
    /// Never for the accounts below.
    pub fn signer(&self) -> eyre::Result<PrivateKeySigner> {
        self.private_key.parse().wrap_err_with(|| format!("reading the key of {}", self.role))
    }
}

/// Deploys, owns the contracts and holds the token's supply.
pub const DEPLOYER: DevAccount = DevAccount {
    role: "deployer",
    address: address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    private_key: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
};

/// The oracle's keeper.
pub const KEEPER: DevAccount = DevAccount {
    role: "keeper",
    address: address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    private_key: "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
};

/// A client with tokens.
pub const CLIENT: DevAccount = DevAccount {
    role: "client",
    address: address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
    private_key: "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
};

/// Another client with tokens.
pub const CLIENT_2: DevAccount = DevAccount {
    role: "client 2",
    address: address!("90F79bf6EB2c4f870365E785982E1f101E93b906"),
    private_key: "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
};

/// An account with ether and without tokens.
pub const STRANGER: DevAccount = DevAccount {
    role: "stranger",
    address: address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
    private_key: "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
};

/// All, in anvil's order.
pub const ALL: [DevAccount; 5] = [DEPLOYER, KEEPER, CLIENT, CLIENT_2, STRANGER];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_addresses_fit() {
        for account in ALL {
            assert_eq!(account.signer().unwrap().address(), account.address, "{}", account.role);
        }
    }
}
