//! What can be asked of a BMC about itself and about firmware: its clock, the keys of secure boot, updates and their tasks.

use super::client::RedfishClient;
use super::error::{Error, Operation};
use super::exchange::Request;
use super::turn::{Read, Turn};
use redfish::{Clock, KeysReset, Meaning, Members, ResourcePath, SimpleUpdate, Task, reset_keys_target};

impl RedfishClient {
    /// The BMC's clock.
    pub async fn clock(&self) -> Result<Clock, Error> {
        self.in_turn(Operation::GetClock, |turn| {
            Box::pin(async move { Ok(Clock::from_value(&turn.manager().await?.value)) })
        })
        .await
    }

    /// Sets the BMC's clock to what `clock` gives of it.
    pub async fn set_clock(&self, clock: &Clock) -> Result<(), Error> {
        let body = clock.change();
        self.in_turn(Operation::SetClock, move |turn| {
            Box::pin(async move {
                let manager = turn.manager().await?;
                turn.change(&manager, &[body]).await.map(drop)
            })
        })
        .await
    }

    /// Resets the keys of secure boot. Doing it twice ends in the same keys.
    pub async fn reset_secure_boot_keys(&self, kind: KeysReset) -> Result<(), Error> {
        self.in_turn(Operation::ResetKeys(kind), move |turn| {
            Box::pin(async move {
                let resource = turn.secure_boot().await?;
                let Some(target) = reset_keys_target(&resource.value) else {
                    return Err(turn.unsupported("no action on the keys of secure boot"));
                };
                let answer = turn.exchange(Request::post(&target, kind.body(), true)).await?;
                turn.finish(answer).await
            })
        })
        .await
    }

    /// Has the BMC fetch firmware from `url` and apply it. Returns the task to ask about; nothing when the BMC made none:
    /// it is done then. Never sent twice: after [`Error::Broken`] and [`Error::Slow`] it is not known whether it began.
    pub async fn begin_update(&self, url: &str) -> Result<Option<ResourcePath>, Error> {
        let url = url.to_owned();
        self.in_turn(Operation::Update, move |turn| Box::pin(turn.begin_update(url))).await
    }

    /// A task of the BMC; nothing when it knows none there: many forget theirs when they have ended.
    pub async fn task(&self, path: &ResourcePath) -> Result<Option<Task>, Error> {
        let path = path.clone();
        self.in_turn(Operation::AskTask, move |turn| {
            Box::pin(async move {
                match turn.poll(&path).await {
                    Ok(task) => Ok(Some(task)),
                    Err(error)
                        if error.refusal().is_some_and(|fault| fault.meaning() == Meaning::NotFound) =>
                    {
                        Ok(None)
                    }
                    Err(error) => Err(error),
                }
            })
        })
        .await
    }
}

impl Turn<'_> {
    /// The manager that is in charge of the machine: the one it links, else the only one.
    async fn manager(&mut self) -> Result<Read, Error> {
        let (_, system) = self.system().await?;
        if let Some(path) = &system.managed_by {
            return self.read(path).await;
        }
        let Some(collection) = self.root().await?.managers else {
            return Err(self.unsupported("no manager"));
        };
        let members = Members::from_value(&self.read(&collection).await?.value);
        match members.only() {
            Some(path) => self.read(&path.clone()).await,
            None => Err(self.unsupported(format!("several managers, none linked to the machine: {members}"))),
        }
    }

    async fn begin_update(&mut self, url: String) -> Result<Option<ResourcePath>, Error> {
        let Some(path) = self.root().await?.update_service else {
            return Err(self.unsupported("no update service"));
        };
        let service = self.read(&path).await?;
        let Some(update) = SimpleUpdate::from_service(&service.value) else {
            return Err(self.unsupported("an update service without SimpleUpdate"));
        };
        let answer = self.exchange(Request::post(&update.target, update.body(&url), false)).await?;
        Ok(answer.location.or_else(|| Task::from_value(answer.status, &answer.value).path))
    }
}
