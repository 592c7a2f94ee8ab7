//! Modbus TCP by `tokio-modbus`.
use std::net::SocketAddr;
use std::time::Duration;

use tokio_modbus::client::{Context, Reader, tcp};
use tokio_modbus::{ExceptionCode, Slave};

use super::HoldingRegisters;
use crate::sensors::Fault;

const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that is opened when needed, and again after it failed.
pub struct ModbusTcp {
    address: SocketAddr,
    unit: u8,
    context: Option<Context>,
}

impl std::fmt::Debug for ModbusTcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModbusTcp").field("address", &self.address).field("unit", &self.unit).finish_non_exhaustive()
    }
}

impl ModbusTcp {
    /// A device at an address; `unit` is its Modbus unit, often 1.
    #[must_use]
    pub const fn new(address: SocketAddr, unit: u8) -> Self {
        Self { address, unit, context: None }
    }

    async fn connected(&mut self) -> Result<&mut Context, Fault> {
        if self.context.is_none() {
            let connecting = tcp::connect_slave(self.address, Slave(self.unit));
            let context = tokio::time::timeout(PATIENCE, connecting).await.ok().and_then(Result::ok);
            self.context = Some(context.ok_or(Fault::NoAnswer)?);
        }
        self.context.as_mut().ok_or(Fault::NoAnswer)
    }
}

impl HoldingRegisters for ModbusTcp {
    async fn read(&mut self, address: u16, count: u16) -> Result<Vec<u16>, Fault> {
        let asking = self.connected().await?.read_holding_registers(address, count);
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(Ok(Ok(words))) => Ok(words),
            Ok(Ok(Err(ExceptionCode::GatewayTargetDevice | ExceptionCode::GatewayPathUnavailable))) => {
                Err(Fault::NoAnswer)
            }
            Ok(Ok(Err(exception))) => Err(Fault::corrupt(format!("device refuses register {address}: {exception}"))),
            Ok(Err(_)) => {
                self.context = None;
                Err(Fault::NoAnswer)
            }
            Err(_) => {
                self.context = None;
                Err(Fault::Silent { seconds: PATIENCE.as_secs().cast_signed() })
            }
        }
    }
}
