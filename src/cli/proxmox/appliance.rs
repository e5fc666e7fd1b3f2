//! The appliance of this host: the running service through its socket, or its store while it does not run.

use super::super::console::Request;
use super::super::socket;
use app::App;
use base::{Error, Kind, Result, SystemClock};
use config::Settings;
use crypto::appliance;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::Store;

pub enum Appliance {
    Running(PathBuf),
    Stopped(App),
}

/// The service may just be starting.
const TRIES: u32 = 20;

impl Appliance {
    pub async fn reach(settings: Settings) -> Result<Self> {
        for _ in 0..TRIES {
            match socket::ask(&settings.socket, &Request::Health) {
                Err(e) if e.kind() == Kind::Unavailable => {}
                Err(e) => return Err(e),
                Ok(_) => return Ok(Self::Running(settings.socket)),
            }
            if !settings.socket.exists() && Store::exists(&settings.store_file()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        // Made by root, a store would be of no use to the service.
        if !Store::exists(&settings.store_file()) {
            return Err(Error::unavailable("Steward has never run here. Start it first: systemctl start steward"));
        }
        let key = appliance::load(None, &settings.key_file, false)?;
        Ok(Self::Stopped(App::open(settings, key, Arc::new(SystemClock))?))
    }

    pub async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T> {
        let text = match self {
            Self::Running(path) => {
                let path = path.clone();
                // It blocks until the answer is there.
                tokio::task::spawn_blocking(move || socket::ask(&path, &request)).await.map_err(Error::internal)??
            }
            Self::Stopped(app) => request.answer(app).await?,
        };
        serde_json::from_str(&text).map_err(Error::internal)
    }

    pub async fn close(self) {
        if let Self::Stopped(app) = self {
            let _ = tokio::task::spawn_blocking(move || app.close()).await;
        }
    }
}
