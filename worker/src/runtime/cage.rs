//! What a container is made of: pure functions from a job to the engine's requests.
//!
//! A leaf has three things in the engine, all named after the job: the app's container, the volume of its output folder (a
//! tmpfs with a size and an inode limit), and a *holder*, a container that does nothing but keep that volume mounted. An
//! engine unmounts a tmpfs with its last container, and what the app wrote would be gone the moment it exits; with the
//! holder the output is read at leisure, from outside, when no process of the app is left to change it under the reader.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountTmpfsOptions, MountType, MountVolumeOptions, ResourcesUlimits,
    VolumeCreateRequest,
};
use sunwork_protocol::leaf::MAX_FILES;

use super::{INPUT_DIR, LeafJob, Limits, OUTPUT_DIR, network};

/// Room of `/tmp`, memory too.
pub const TMP_MIB: u64 = 64;
/// Room of each volume that an image declares for itself.
const DECLARED_VOLUME_MIB: u64 = 16;
/// Most volumes that an image may declare.
const MAX_DECLARED_VOLUMES: usize = 8;
/// nobody:nogroup on every Linux.
const USER: &str = "65534:65534";
/// Files and folders that fit the output folder.
pub const OUTPUT_INODES: u64 = MAX_FILES as u64 + 4096;
/// Label that names the worker a thing belongs to.
pub const LABEL: &str = "org.sunwork.worker";
const MIB: u64 = 1 << 20;

/// What the engine says about an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// ID by which it is run.
    pub id: String,
    /// Volumes that it declares: each would become a folder of the host without limit.
    pub volumes: Vec<String>,
    /// True when it has an entrypoint or a command.
    pub has_command: bool,
}

impl ImageFacts {
    /// Says why no cage can hold the image, if so.
    pub fn unusable(&self) -> Option<String> {
        if self.volumes.len() > MAX_DECLARED_VOLUMES {
            return Some(format!(
                "it declares {} volumes, expected at most {MAX_DECLARED_VOLUMES}",
                self.volumes.len()
            ));
        }
        let inside = |v: &&String| [INPUT_DIR, OUTPUT_DIR].iter().any(|dir| v.starts_with(&format!("{dir}/")));
        self.volumes
            .iter()
            .find(inside)
            .map(|volume| format!("it declares the volume {volume:?}, expected none below {INPUT_DIR} or {OUTPUT_DIR}"))
    }
}

/// Name of the volume of a job's output.
pub fn volume_name(job_name: &str) -> String {
    format!("{job_name}.out")
}

/// Name of the holder of a job's output.
pub fn holder_name(job_name: &str) -> String {
    format!("{job_name}.hold")
}

fn labels(worker: &str) -> HashMap<String, String> {
    HashMap::from([(LABEL.to_owned(), worker.to_owned())])
}

/// The output volume. World-writable, since with user namespaces the app's user has another number on the host.
pub fn volume(job_name: &str, limits: &Limits, worker: &str) -> VolumeCreateRequest {
    let options = format!("size={}m,nr_inodes={OUTPUT_INODES},mode=1777,nosuid,nodev", limits.disk_mib);
    VolumeCreateRequest {
        name: Some(volume_name(job_name)),
        driver: Some("local".into()),
        driver_opts: Some(HashMap::from([
            ("type".into(), "tmpfs".into()),
            ("device".into(), "tmpfs".into()),
            ("o".into(), options),
        ])),
        labels: Some(labels(worker)),
        ..Default::default()
    }
}

fn output_mount(job_name: &str, read_only: bool, worker: &str) -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume_name(job_name)),
        target: Some(OUTPUT_DIR.into()),
        read_only: Some(read_only),
        // Nothing of the image's own /iexec_out is copied into it.
        // Where the volume was removed meanwhile, the engine makes another: a sweep has to find that one, too.
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            labels: Some(labels(worker)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Something of the host, to be read only.
fn bind(source: &Path, target: &str) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(true),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            non_recursive: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn tmpfs_mount(target: &str, size_mib: u64) -> Mount {
    Mount {
        typ: Some(MountType::TMPFS),
        target: Some(target.to_owned()),
        tmpfs_options: Some(MountTmpfsOptions {
            size_bytes: Some((size_mib * MIB) as i64),
            mode: Some(0o1777),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn ulimit(name: &str, value: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(value), hard: Some(value) }
}

fn no_log() -> HostConfigLogConfig {
    HostConfigLogConfig { typ: Some("none".into()), config: None }
}

/// Limits that every container of ours has. `security` are the engine's options for that, the filter of system calls among them.
fn walls(security: &[String]) -> HostConfig {
    HostConfig {
        network_mode: Some("none".into()),
        readonly_rootfs: Some(true),
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(security.to_vec()),
        ipc_mode: Some("private".into()),
        // A core dump is written by the kernel, outside the cage where the host's core_pattern says so.
        // 4096 files and 8 MiB of locked memory are below what any engine may hand out, and the same everywhere.
        ulimits: Some(vec![ulimit("core", 0), ulimit("nofile", 4096), ulimit("memlock", 8 << 20)]),
        privileged: Some(false),
        auto_remove: Some(false),
        ..Default::default()
    }
}

/// The app's container. `host_cpus` is what the engine has: it refuses more.
pub fn app(
    job: &LeafJob,
    image: &ImageFacts,
    worker: &str,
    host_cpus: u64,
    security: &[String],
) -> ContainerCreateBody {
    let limits = &job.limits;
    let memory = ((limits.host_memory_mib()) * MIB) as i64;
    let mut mounts = vec![bind(&job.input_dir, INPUT_DIR), output_mount(&job.name, false, worker)];
    if let Some(network) = &job.network {
        // A socket is written to although it lies where nothing can be written.
        mounts.push(bind(&network.socket, network::SOCKET));
    }
    let mut tmpfs = HashMap::new();
    if image.volumes.iter().all(|v| v != "/tmp") {
        // Without a number of files, the kernel's memory for their names would end the app, sooner on one machine than on another.
        let options = format!("size={TMP_MIB}m,nr_inodes={OUTPUT_INODES},mode=1777,nosuid,nodev,exec");
        tmpfs.insert("/tmp".to_owned(), options);
    }
    for volume in image.volumes.iter().filter(|v| ![INPUT_DIR, OUTPUT_DIR].contains(&v.as_str())) {
        mounts.push(tmpfs_mount(volume, if volume == "/tmp" { TMP_MIB } else { DECLARED_VOLUME_MIB }));
    }
    ContainerCreateBody {
        image: Some(image.id.clone()),
        hostname: Some("leaf".into()),
        user: Some(USER.into()),
        env: Some(
            std::iter::once("HOME=/tmp".to_owned())
                .chain(job.env.iter().map(|(name, value)| format!("{name}={value}")))
                .collect(),
        ),
        cmd: (!job.args.is_empty()).then(|| job.args.clone()),
        // The engine would run an image's own health check inside, again and again.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..Default::default() }),
        labels: Some(labels(worker)),
        host_config: Some(HostConfig {
            // Reaps orphans and forwards the end of the app as the container's.
            init: Some(true),
            memory: Some(memory),
            memory_swap: Some(memory),
            nano_cpus: Some((u64::from(limits.milli_cpu) * 1_000_000).min(host_cpus * 1_000_000_000) as i64),
            // Two more for the init process and the moment in which it makes the app's.
            pids_limit: Some(i64::from(limits.max_pids) + 2),
            // When the host itself runs out of memory, the guest goes first.
            oom_score_adj: Some(500),
            mounts: Some(mounts),
            tmpfs: Some(tmpfs),
            // Output goes to whoever is attached, and to no file: output that never ends fills nothing.
            log_config: Some(no_log()),
            ..walls(security)
        }),
        ..Default::default()
    }
}

/// The container that keeps the output folder mounted.
pub fn holder(job_name: &str, image_id: &str, worker: &str, security: &[String]) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image_id.to_owned()),
        hostname: Some("holder".into()),
        user: Some(USER.into()),
        labels: Some(labels(worker)),
        host_config: Some(HostConfig {
            memory: Some((8 * MIB) as i64),
            memory_swap: Some((8 * MIB) as i64),
            pids_limit: Some(4),
            mounts: Some(vec![output_mount(job_name, true, worker)]),
            log_config: Some(no_log()),
            ..walls(security)
        }),
        ..Default::default()
    }
}

/// A program that waits until it is killed, for the holder: a whole ELF file, so that no image must be fetched for it.
/// `arch` is the engine's architecture in OCI words.
pub fn holder_program(arch: &str) -> Option<Vec<u8>> {
    let (machine, code): (u16, Vec<u8>) = match arch {
        // again: mov eax, 34 (pause); syscall; jmp again
        "amd64" => (62, vec![0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]),
        // again: mov x0..x4, #0; mov x8, #73 (ppoll: no descriptors, no time limit); svc #0; b again
        "arm64" => {
            let words: [u32; 8] = [
                0xd280_0000,
                0xd280_0001,
                0xd280_0002,
                0xd280_0003,
                0xd280_0004,
                0xd280_0928,
                0xd400_0001,
                0x17ff_fff9,
            ];
            (183, words.iter().flat_map(|w| w.to_le_bytes()).collect())
        }
        _ => return None,
    };
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + code.len() as u64;
    let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let halves =
        |elf: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| elf.extend_from_slice(&v.to_le_bytes()));
    let words = |elf: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| elf.extend_from_slice(&v.to_le_bytes()));
    let longs = |elf: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|v| elf.extend_from_slice(&v.to_le_bytes()));
    halves(&mut elf, &[2, machine]); // ET_EXEC
    words(&mut elf, &[1]);
    longs(&mut elf, &[BASE + HEADERS, 64, 0]); // entry, program headers, no section headers
    words(&mut elf, &[0]);
    halves(&mut elf, &[64, 56, 1, 0, 0, 0]);
    words(&mut elf, &[1, 5]); // PT_LOAD, readable and executable
    // 64 KiB alignment: ARM kernels with large pages load it too.
    longs(&mut elf, &[0, BASE, BASE, size, size, 0x1_0000]);
    elf.extend_from_slice(&code);
    Some(elf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::ImageRef;

    fn job() -> LeafJob {
        LeafJob {
            image: ImageRef { digest: [0; 32], name: None, platform: "linux/amd64".into() },
            args: vec![],
            env: vec![("A".into(), "b".into())],
            input_dir: "/in".into(),
            out_dir: "/out".into(),
            limits: Limits { milli_cpu: 9000, memory_mib: 32, disk_mib: 16, max_pids: 8, leaf_secs: 1, output_mib: 1 },
            printing: crate::runtime::Printing::new(64),
            network: None,
            name: "leaf".into(),
        }
    }

    #[test]
    fn the_cage_has_every_wall() {
        let image =
            ImageFacts { id: "sha256:aa".into(), volumes: vec!["/data".into(), "/tmp".into()], has_command: true };
        let security = ["no-new-privileges".to_owned(), "seccomp={}".to_owned()];
        let body = app(&job(), &image, "w", 2, &security);
        assert_eq!(body.user.as_deref(), Some("65534:65534"));
        assert_eq!(body.env.as_deref(), Some(["HOME=/tmp".to_owned(), "A=b".to_owned()].as_slice()));
        let host = body.host_config.expect("set");
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.cap_drop.as_deref(), Some(["ALL".to_owned()].as_slice()));
        assert_eq!(host.security_opt.as_deref(), Some(security.as_slice()));
        assert_eq!(host.memory, Some(112 << 20));
        assert_eq!(host.memory_swap, host.memory);
        assert_eq!(host.nano_cpus, Some(2_000_000_000));
        assert_eq!(host.pids_limit, Some(10));
        assert_eq!(host.log_config.expect("set").typ.as_deref(), Some("none"));
        assert!(host.privileged == Some(false) && host.cap_add.is_none() && host.devices.is_none());
        let all = host.mounts.iter().flatten();
        assert!(all.clone().all(|m| m.target.as_deref() != Some(network::SOCKET)), "nobody asked for a way out");
        // Every declared volume is covered, so that none becomes a folder of the host.
        let mounts = host.mounts.expect("set");
        for target in ["/data", "/tmp", INPUT_DIR, OUTPUT_DIR] {
            assert!(mounts.iter().any(|m| m.target.as_deref() == Some(target)), "{target}");
        }
        assert!(host.tmpfs.expect("set").is_empty());
    }

    #[test]
    fn images_that_no_cage_holds_are_named() {
        let with = |volumes: Vec<String>| ImageFacts { volumes, ..Default::default() }.unusable();
        assert_eq!(with(vec!["/iexec_out".into(), "/tmp".into()]), None);
        assert!(with(vec!["/iexec_out/x".into()]).is_some());
        assert!(with((0..9).map(|i| format!("/{i}")).collect()).is_some());
    }

    #[test]
    fn holder_programs_are_whole() {
        assert_eq!(holder_program("amd64").map(|elf| elf.len()), Some(129));
        assert_eq!(holder_program("arm64").map(|elf| elf.len()), Some(152));
        assert_eq!(holder_program("riscv64"), None);
    }
}
