//! `sunwork image`: make an archive that every worker takes, upload it, look into one.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sunwork_edge::blobs::BlobClient;
use sunwork_protocol::image::WASM_PLATFORM;

use super::duration::show_bytes;
use super::exit::{Exit, Failure};
use super::follow::step;
use super::output::{count, fields, table};
use super::session::Session;
use crate::archive::{Archive, ArchivedImage};
use crate::image_push::{Engine, PushOptions, PushedImage, make_archive};
use crate::image_ref::ImageSource;

/// What to do with images.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Make one plain archive of an image, upload it, print its name for `sunwork run`
    #[command(after_help = "\
Examples:
  sunwork image push my-app:latest            an image of the local engine
  sunwork image push ./my-app                 a folder with a Dockerfile: is built first
  sunwork image push app.tar --platform linux/arm64
  sunwork image push app.wasm                 a WebAssembly module, as it is")]
    Push {
        /// Image of the local engine, folder with a Dockerfile, or archive file
        #[arg(value_name = "IMAGE|FOLDER|FILE")]
        what: String,
        /// Platform to build for, or to choose where there are several
        #[arg(long, value_name = "OS/ARCH")]
        platform: Option<String>,
        /// Dockerfile [default: Dockerfile or Containerfile in the folder]
        #[arg(long, value_name = "FILE")]
        dockerfile: Option<PathBuf>,
        /// Keep the archive in this file, too
        #[arg(long, value_name = "FILE")]
        save: Option<PathBuf>,
        /// Only make the archive
        #[arg(long, requires = "save")]
        no_upload: bool,
        /// Command of the engine: docker, podman
        #[arg(long, default_value = "docker", env = "SUNWORK_ENGINE", value_name = "COMMAND")]
        engine: String,
    },
    /// What an archive holds and whether workers take it as it is; for sha256:… whether an oracle has it
    Inspect {
        /// Archive file, or sha256:…
        image: String,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pushed {
    #[serde(flatten)]
    image: PushedImage,
    uploaded: bool,
    saved: Option<PathBuf>,
    run: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inspected {
    image: String,
    size_bytes: Option<u64>,
    images: Vec<Found>,
    runnable: bool,
    problem: Option<String>,
    at_oracle: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    id: String,
    platform: String,
    layers: usize,
    size_bytes: u64,
}

/// Runs the command.
///
/// # Errors
/// With the exit code that fits.
pub async fn run(session: &Session, command: ImageCommand) -> Result<Exit, Failure> {
    match command {
        ImageCommand::Push { what, platform, dockerfile, save, no_upload, engine } => {
            let options = PushOptions { platform, dockerfile, save };
            push(session, &what, options, &Engine::new(engine), !no_upload).await
        }
        ImageCommand::Inspect { image } => inspect(session, &image).await,
    }
}

async fn push(
    session: &Session,
    what: &str,
    options: PushOptions,
    engine: &Engine,
    upload: bool,
) -> Result<Exit, Failure> {
    // Building writes its own lines: a line of ours would stand in between.
    let bar = if Path::new(what).is_dir() { ProgressBar::hidden() } else { step(format!("saving {what}")) };
    let image = make_archive(engine, what, &options).await;
    bar.finish_and_clear();
    let image = image?;
    if upload {
        let bar = bytes_bar("uploading", image.size_bytes);
        let sent = bar.clone();
        let blobs = BlobClient::new(session.settings.oracle_urls.clone());
        let put = blobs.put_file_watched(&image.path, move |bytes| sent.inc(bytes)).await;
        bar.finish_and_clear();
        put.map_err(|error| Failure::new(Exit::Oracle, eyre::Report::new(error).wrap_err("uploading the image")))?;
    }
    let name = format!("sha256:{}", hex::encode(image.image));
    let run = format!("sunwork run {name} --platform {}", image.platform);
    let pushed = Pushed { image, uploaded: upload, saved: options.save, run };
    session.output.document("image", &pushed, || {
        let image = &pushed.image;
        let mut pairs = vec![
            ("image", name.clone()),
            ("platform", image.platform.clone()),
            ("size", size(image.size_bytes, image.layers)),
        ];
        if let Some(saved) = &pushed.saved {
            pairs.push(("saved", saved.display().to_string()));
        }
        let next = if upload { pushed.run.clone() } else { format!("sunwork run {}", image.path.display()) };
        // Not among the fields, which are wrapped: this is to be copied.
        format!("{}run it with:  {next} -- ARGS", fields(&pairs))
    });
    Ok(Exit::Ok)
}

/// "5.0 MiB in 1 layer"; a module has none.
fn size(bytes: u64, layers: usize) -> String {
    match layers {
        0 => show_bytes(bytes),
        some => format!("{} in {}", show_bytes(bytes), count(some as u64, "layer", "layers")),
    }
}

async fn inspect(session: &Session, text: &str) -> Result<Exit, Failure> {
    let source = ImageSource::parse(text).map_err(|error| Failure::new(Exit::Usage, error))?;
    let report = match source {
        ImageSource::Archive(path) => inspect_file(&path)?,
        ImageSource::Blob(digest) => {
            let blobs = BlobClient::new(session.settings.oracle_urls.clone());
            let there = blobs.has(digest).await.map_err(|error| Failure::new(Exit::Oracle, error))?;
            let problem = (!there).then(|| "no oracle has it; upload it with `sunwork image push FILE`".to_owned());
            let image = format!("sha256:{}", hex::encode(digest));
            Inspected { image, size_bytes: None, images: vec![], runnable: there, problem, at_oracle: Some(there) }
        }
        ImageSource::Registry { .. } => {
            let sentence = "an image of a registry cannot be looked into from here; workers fetch it from the registry";
            return Err(Failure::say(Exit::Usage, sentence));
        }
    };
    session.output.document("image", &report, || {
        let rows: Vec<Vec<String>> = report
            .images
            .iter()
            .map(|i| vec![i.platform.clone(), i.layers.to_string(), show_bytes(i.size_bytes), i.id.clone()])
            .collect();
        let mut text = fields(&[("image", report.image.clone())]);
        if !rows.is_empty() {
            text.push_str(&table(&["PLATFORM", "LAYERS", "SIZE", "ID"], &rows));
        }
        text.push_str(&match (&report.problem, report.at_oracle) {
            (Some(problem), _) => format!("workers do not take it: {problem}"),
            (None, Some(_)) => "an oracle has it; its platform is not known here".into(),
            (None, None) => "workers take it as it is".into(),
        });
        text
    });
    Ok(if report.runnable { Exit::Ok } else { Exit::Usage })
}

fn inspect_file(path: &Path) -> Result<Inspected, Failure> {
    let archive = Archive::read(path)?;
    let taken = archive.as_workers_need_it();
    let file_bytes = std::fs::metadata(path).ok().map(|meta| meta.len());
    let found = |image: &ArchivedImage| Found {
        id: image.id.clone(),
        platform: image.platform.clone(),
        layers: image.layers.len(),
        // A module has no layers: the file is the image.
        size_bytes: match image.platform.as_str() {
            WASM_PLATFORM => file_bytes.unwrap_or_default(),
            _ => image.layers.iter().map(|layer| layer.size_bytes).sum(),
        },
    };
    Ok(Inspected {
        image: path.display().to_string(),
        size_bytes: file_bytes,
        images: archive.saved.iter().chain(&archive.indexed).map(found).collect(),
        runnable: taken.is_ok(),
        problem: taken.err().map(|error| error.to_string()),
        at_oracle: None,
    })
}

/// A bar over bytes; not drawn where standard error is no terminal.
pub fn bytes_bar(doing: &'static str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{msg} [{bar:24}] {bytes} of {total_bytes}, {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(doing);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_as_large_as_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.wasm");
        std::fs::write(&path, [&sunwork_protocol::image::WASM_MAGIC[..], &[0; 92]].concat()).unwrap();
        let report = inspect_file(&path).unwrap_or_else(|failure| panic!("{}", failure.report));
        assert_eq!((report.size_bytes, report.images.len()), (Some(100), 1));
        assert_eq!((report.images[0].layers, report.images[0].size_bytes), (0, 100));
    }

    #[test]
    fn layers_are_counted_where_there_are_some() {
        assert_eq!(size(94_823, 0), "92.6 KiB");
        assert_eq!(size(94_823, 1), "92.6 KiB in 1 layer");
    }
}
