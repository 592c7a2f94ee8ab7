//! A SunSpec device's registers.
use crate::sensors::Fault;
use crate::sensors::sunspec::HoldingRegisters;

/// Registers from a base on; anything outside is refused, as a device does it.
#[derive(Clone, Debug, Default)]
pub struct SimSunSpec {
    base: u16,
    words: Vec<u16>,
}

impl SimSunSpec {
    /// A device with "SunS" at `base`, a common model and no other.
    #[must_use]
    pub fn new(base: u16) -> Self {
        let mut sim = Self { base, words: vec![0x5375, 0x6E53, END, 0] };
        sim.add(1, &[0; 66]);
        sim
    }

    /// Adds a model with its registers after identity and length.
    pub fn add(&mut self, id: u16, body: &[u16]) {
        self.words.truncate(self.words.len() - 2);
        self.words.extend([id, body.len() as u16]);
        self.words.extend(body);
        self.words.extend([END, 0]);
    }

    /// Adds a single-phase inverter (101): AC watts, lifetime Wh.
    pub fn add_inverter(&mut self, watts: i16, wh: u32) {
        let mut body = [0xFFFF; 50];
        // Offsets in the model less 2; scale factors zero, DC not there.
        for at in [4, 11, 13, 15, 17, 19, 21, 24, 26, 28, 30, 35] {
            body[at] = 0;
        }
        (body[12], body[29]) = (watts.cast_unsigned(), 0x8000);
        (body[22], body[23]) = ((wh >> 16) as u16, wh as u16);
        self.add(101, &body);
    }

    /// Adds MPPT inputs (160): tenths of a watt and Wh of each.
    pub fn add_inputs(&mut self, inputs: &[(u16, u32)]) {
        // DCA_SF, DCV_SF, DCW_SF = −1, DCWH_SF, Evt, N, TmsPer
        let mut body = vec![0, 0, (-1_i16).cast_unsigned(), 0, 0, 0, inputs.len() as u16, 0];
        for (tenths, wh) in inputs {
            let mut input = [0; 20];
            (input[11], input[12], input[13]) = (*tenths, (wh >> 16) as u16, *wh as u16);
            body.extend(input);
        }
        self.add(160, &body);
    }

    /// Adds a battery (802): tenths of a percent, status, watts.
    pub fn add_battery(&mut self, soc_tenths: u16, status: u16, watts: i16) {
        let mut body = [0; 62];
        (body[9], body[14], body[45]) = (soc_tenths, status, watts.cast_unsigned());
        body[54] = (-1_i16).cast_unsigned();
        self.add(802, &body);
    }

    /// Reads as a server; `None` is "illegal data address".
    #[must_use]
    pub fn get(&self, address: u16, count: u16) -> Option<Vec<u16>> {
        let from = usize::from(address.checked_sub(self.base)?);
        if count > 125 {
            return None;
        }
        self.words.get(from..from + usize::from(count)).map(<[u16]>::to_vec)
    }
}

const END: u16 = 0xFFFF;

impl HoldingRegisters for SimSunSpec {
    async fn read(&mut self, address: u16, count: u16) -> Result<Vec<u16>, Fault> {
        self.get(address, count).ok_or_else(|| Fault::corrupt("illegal data address"))
    }
}
