//! `hush device`: which devices the account has, and how they come and go.

use std::time::Duration;

use hushwire_client::{Client, Command, DeviceRequest, Event, EventStream, ListedDevice, Membership};

use super::join;
use crate::app::App;
use crate::args::{Device, JoinArgs};
use crate::exit::{Exit, Failure};
use crate::show::Item;
use crate::text;

/// The keyserver answers within its own six seconds; twice that, and a connection.
pub(super) const CHANGED_WITHIN: Duration = Duration::from_secs(30);

/// Long enough to walk to the other device.
const ADDED_WITHIN: Duration = Duration::from_secs(15 * 60);

/// For what other devices have changed; offline, what is known here is shown.
const LOOKED_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn run(app: &App, args: Device) -> Result<(), Failure> {
    match args {
        Device::List => list(app).await,
        Device::Request(args) => request(app, &args).await,
        Device::Add { request } => add(app, &request).await,
        Device::Revoke { device } => {
            let device = find(app, &device).await?;
            changed(app, Command::RevokeDevice(device.id)).await?;
            show(app).await?;
            app.out().note("It is out. Your contacts hear of it as they write with you, or within a day.");
            Ok(())
        }
        Device::Rename { device, name } => {
            let device = find(app, &device).await?;
            changed(app, Command::RenameDevice(device.id, name)).await?;
            show(app).await
        }
    }
}

async fn list(app: &App) -> Result<(), Failure> {
    let client = app.client().await?;
    let mut events = client.events();
    client.connect().await?;
    let _ = client.settle(app.timeout(LOOKED_WITHIN)).await?.done;
    while let Ok(Some(Ok(event))) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        if tells_of_devices(&event) {
            super::report::event(app, &event).await?;
        }
    }
    show(app).await?;
    match app.profile().await?.membership {
        Membership::Listed => {}
        Membership::Waiting => {
            app.out().warn("this device is not one of them yet; `hush device request` shows its request again")
        }
        Membership::Revoked => app.out().warn("this device is not one of them any more"),
    }
    Ok(())
}

fn tells_of_devices(event: &Event) -> bool {
    matches!(
        event,
        Event::OwnDevicesChanged { .. }
            | Event::OwnDevicesNotChanged { .. }
            | Event::OwnDevicesForked
            | Event::Revoked
            | Event::KeyserverLies { .. }
    )
}

async fn show(app: &App) -> Result<(), Failure> {
    for device in app.client().await?.query(|engine| Ok(engine.devices())).await? {
        app.out().item(&Item::Device(&device))?;
    }
    Ok(())
}

/// The device of that number or name.
async fn find(app: &App, meant: &str) -> Result<ListedDevice, Failure> {
    let devices = app.client().await?.query(|engine| Ok(engine.devices())).await?;
    let fits = |device: &&ListedDevice| device.name == meant || device.id.to_string() == meant;
    devices.iter().find(fits).cloned().ok_or_else(|| {
        Failure::usage(
            format!("your account has no device `{}`", text::clean_line(meant)),
            "`hush device list` shows their numbers and names",
        )
    })
}

async fn add(app: &App, request: &str) -> Result<(), Failure> {
    let request: DeviceRequest = request.parse().map_err(|bad: hushwire_client::BadDeviceRequest| {
        Failure::usage(bad.to_string(), "put the request in quotes: the shell may take what follows # for a comment")
    })?;
    let id = request.device.id;
    let here = app.client().await?.query(|engine| Ok(engine.devices())).await?;
    if here.iter().any(|device| device.id == id && device.name == request.device.name) {
        app.out().note("That device is one of yours already.");
        return show(app).await;
    }
    changed(app, Command::AddDevice(Box::new(request))).await?;
    show(app).await?;
    app.out().note("It is one of your devices now, and sees so by itself within a moment.");
    Ok(())
}

/// Wants a change of the list, and waits until it is so.
///
/// # Errors
/// When it is refused, or the keyserver does not answer in time.
pub(super) async fn changed(app: &App, command: Command) -> Result<(), Failure> {
    let client = app.client().await?;
    let mut events = client.events();
    client.command(command).await?;
    client.connect().await?;
    is_changed(app, client, &mut events).await
}

/// Waits until the list that is on its way has arrived.
pub(super) async fn is_changed(app: &App, client: &Client, events: &mut EventStream) -> Result<(), Failure> {
    let outcome = async {
        loop {
            match events.next().await {
                Some(Ok(Event::OwnDevicesNotChanged { reason })) => {
                    return Err(Failure::new(Exit::Network, text::clean_line(&reason))
                        .hint("`hush device list` shows what the account has now"));
                }
                Some(Ok(event @ (Event::KeyserverLies { .. } | Event::OwnDevicesForked))) => {
                    super::report::event(app, &event).await?;
                }
                Some(_) => {
                    if !client.query(|engine| engine.is_changing_devices()).await? {
                        return Ok(());
                    }
                }
                None => return Err(Failure::new(Exit::Unexpected, "the account was closed")),
            }
        }
    };
    match tokio::time::timeout(app.timeout(CHANGED_WITHIN), outcome).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::new(Exit::Network, "the keyserver did not answer in time")
            .hint("the change is signed and kept here, and sent again by the next command that goes online: `hush device list`")),
    }
}

async fn request(app: &App, args: &JoinArgs) -> Result<(), Failure> {
    let (out, dir) = (app.out(), app.dir()?);
    if !dir.has_account() {
        let (joining, _) = join::account(app, args).await?;
        let make = |protection| Client::join(&dir, protection, joining.clone());
        let (client, _) = join::locked(app, args.protect, make).await?;
        app.keep(client);
    }
    let client = app.client().await?;
    let Some(request) = client.query(|engine| engine.device_request()).await? else {
        return Err(Failure::usage(
            format!("{} holds an account already", dir.path().display()),
            "`hush device list` shows its devices; --account NAME makes another folder",
        ));
    };
    let request = request.to_string();
    out.item(&Item::DeviceRequest { request: &request })?;
    out.note("\nOn a device that you have, type: hush device add 'REQUEST'\nThis one waits until then; Ctrl-C and the same command later is as good.");
    let mut events = client.events();
    client.connect().await?;
    match tokio::time::timeout(app.timeout(ADDED_WITHIN), added(app, client, &mut events)).await {
        Ok(added) => added?,
        Err(_) => {
            return Err(Failure::new(Exit::Network, "nobody has added this device yet")
                .hint("type the same command again to go on waiting"));
        }
    }
    out.note("Added. This is one of your devices now:");
    show(app).await
}

async fn added(app: &App, client: &Client, events: &mut EventStream) -> Result<(), Failure> {
    loop {
        let profile = client.query(|engine| engine.profile()).await?;
        if profile.membership == Membership::Listed && profile.registered {
            let _ = client.settle(CHANGED_WITHIN).await?.done; // its prekeys
            return Ok(());
        }
        match events.next().await {
            Some(Ok(event)) if matches!(event, Event::KeyserverLies { .. } | Event::OwnDevicesForked) => {
                super::report::event(app, &event).await?;
            }
            Some(_) => {}
            None => return Err(Failure::new(Exit::Unexpected, "the account was closed")),
        }
    }
}
