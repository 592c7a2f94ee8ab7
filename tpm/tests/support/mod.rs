//! A swtpm of the test's own: a software TPM 2.0 on two free ports of the loopback device, with its state in a folder.
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sunwork_tpm::Tpm;
use tempfile::TempDir;

const START_LIMIT: Duration = Duration::from_secs(20);

pub struct Swtpm {
    state: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Swtpm {
    /// A new TPM.
    pub fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let until = Instant::now() + START_LIMIT;
        loop {
            let port = two_free_ports();
            // Somebody may have taken a port since.
            if let Some(process) = run(state.path(), port) {
                return Self { state, port, process: Some(process) };
            }
            assert!(Instant::now() < until, "swtpm does not start; is it installed (apt-get install swtpm)?");
        }
    }

    /// A program that speaks to it.
    pub fn tpm(&self) -> Tpm {
        Tpm::at(&format!("swtpm:host=127.0.0.1,port={}", self.port))
    }

    /// As by a power cut.
    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// The same TPM, at the same place.
    pub fn start_again(&mut self) {
        let until = Instant::now() + START_LIMIT;
        while self.process.is_none() {
            self.process = run(self.state.path(), self.port);
            assert!(Instant::now() < until, "swtpm does not start again");
        }
    }

    /// It hangs, or goes on.
    pub fn hang(&self, hang: bool) {
        let pid = Pid::from_child(self.process.as_ref().unwrap());
        kill_process(pid, if hang { Signal::STOP } else { Signal::CONT }).unwrap();
    }

    /// A command as bytes, with an authorisation by an empty password; it must succeed.
    pub fn command(&self, code: u32, handle: u32, parameters: &[u8]) {
        // TPM_ST_SESSIONS, size, code, handle, and an area of nine bytes: TPM_RS_PW, no nonce, no attributes, no password.
        let size = u32::try_from(27 + parameters.len()).unwrap();
        let mut bytes = [&[0x80, 0x02][..], &size.to_be_bytes(), &code.to_be_bytes(), &handle.to_be_bytes()].concat();
        bytes.extend([0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0]);
        bytes.extend(parameters);
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut head = [0; 10];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head[6..], [0; 4], "command {code:#x}");
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// `None` when it ended at once.
fn run(state: &Path, port: u16) -> Option<Child> {
    let at = |port: u16| format!("type=tcp,bindaddr=127.0.0.1,port={port}");
    let process = Command::new("swtpm")
        .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"])
        .arg(format!("dir={}", state.display()))
        .args(["--server", &at(port), "--ctrl", &at(port + 1)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut process = process.expect("swtpm is installed (apt-get install swtpm)");
    let until = Instant::now() + START_LIMIT;
    loop {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        // Its connections are taken one by one: this one ends before the test's begins.
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(process);
        }
        assert!(Instant::now() < until, "swtpm takes no connections");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Below the ports that the system gives to outgoing connections, and each process begins in a range of its own, where no port is given
/// twice: nobody takes a TPM's place while it is down.
fn two_free_ports() -> u16 {
    const FIRST: u16 = 12_000;
    const PAIRS: u16 = 4_000;
    const PAIRS_OF_A_PROCESS: u16 = 40;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() % u32::from(PAIRS / PAIRS_OF_A_PROCESS)) as u16 * PAIRS_OF_A_PROCESS;
    for _ in 0..PAIRS {
        let port = FIRST + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % PAIRS * 2;
        // One for commands, the next for control: so tpm2-tss expects it.
        if [port, port + 1].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return port;
        }
    }
    panic!("no two ports are free from {FIRST} on");
}
