//! `GET /v1/devices` and `GET /v1/devices/{id}`: the registry of phones.

use actix_web::web::{Data, Json, Path, Query};
use schema::device::{DeviceFilter, DeviceId, Erasure};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::OperatorState;
use crate::problem::{LookProblems, Problem};
use crate::store;
use crate::view::{CertificateView, CommandView, DeviceView};

/// Devices in one answer at most.
const PAGE: u32 = 100;

/// Which devices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DevicesQuery {
    /// Only those with certificates that were revoked but never erased.
    #[serde(default)]
    unerased: bool,
    /// Go on from here: the `next` of the answer before.
    after: Option<i64>,
}

/// Some devices, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct DevicesAnswer {
    /// At most 100.
    pub devices: Vec<DeviceView>,
    /// Where to go on, as the parameter `after`; not there at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// Everything about a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct DeviceAnswer {
    /// The device.
    #[serde(flatten)]
    pub device: DeviceView,
    /// The certificates that were issued to it, oldest first; the newest hundred at most.
    pub certificates: Vec<CertificateView>,
    /// The commands to it, oldest first; the newest hundred at most.
    pub commands: Vec<CommandView>,
}

/// Lists phones.
#[utoipa::path(
    get,
    path = "/v1/devices",
    tag = "operators",
    operation_id = "listDevices",
    security(("operator" = ["call-centre", "administrator", "auditor"])),
    params(DevicesQuery),
    responses((status = 200, description = "Some of them.", body = DevicesAnswer), LookProblems)
)]
pub(crate) async fn list_devices(query: Query<DevicesQuery>, state: Data<OperatorState>) -> Result<Json<DevicesAnswer>, Problem> {
    let filter = DeviceFilter { erasure: query.unerased.then_some(Erasure::Owed), ..DeviceFilter::default() };
    let (reader, after) = (state.reader.clone(), query.after.map(DeviceId));
    let found = store::look("listing devices", move || reader.list_devices(&filter, after, PAGE)).await?;
    let next = found.last().filter(|_| found.len() == PAGE as usize).map(|last| last.id.0);
    Ok(Json(DevicesAnswer { devices: found.iter().map(DeviceView::from).collect(), next }))
}

/// Shows a phone with its certificates and the commands to it.
#[utoipa::path(
    get,
    path = "/v1/devices/{id}",
    tag = "operators",
    operation_id = "showDevice",
    security(("operator" = ["call-centre", "administrator", "auditor"])),
    params(("id" = String, Path, description = "What the phone is called here.")),
    responses((status = 200, description = "The phone.", body = DeviceAnswer), LookProblems)
)]
pub(crate) async fn show_device(id: Path<String>, state: Data<OperatorState>) -> Result<Json<DeviceAnswer>, Problem> {
    let reader = state.reader.clone();
    let found = store::look("looking for a device", move || reader.device(&id)).await?;
    let device = found.ok_or_else(|| Problem::new("not_found", "There is no such device."))?;
    Ok(Json(DeviceAnswer {
        device: DeviceView::from(&device.summary),
        certificates: device.certificates.iter().map(CertificateView::from).collect(),
        commands: device.commands.iter().map(CommandView::from).collect(),
    }))
}
