"""What full buckets of the Compute provider show in ``x-ms-ratelimit-remaining-resource``.

Names and sizes are recorded (facts A2.1, test_vm_msi, test_vmss_msi, test_invoke_action,
misc_vm_vmss_arg_paging). That a PUT shows what a PATCH does, and the list of scale sets, is
assumed.
"""


def _full(**buckets: int) -> dict[str, str]:
    shown = (f"Microsoft.Compute/{name};{left}" for name, left in buckets.items())
    return {"x-ms-ratelimit-remaining-resource": ",".join(shown)}


_BATCH = {"VMScaleSetBatchedVMRequestsSubscriptionMaximum": 6000, "VmssQueuedVMOperations": 0}

POLL = _full(GetOperationResource=44, GetOperationSubscriptionMaximum=14999)

READ = _full(LowCostGetSubscriptionMaximum=23999, LowCostGetResource=35)
LIST = _full(HighCostGetSubscriptionMaximum=899)
UPDATE = _full(UpdateVMSubscriptionMaximum=1499, UpdateVMResource=11)
DELETE = _full(DeleteVMSubscriptionMaximum=1499, DeleteVMResource=11)

SET_READ = _full(GetVMScaleSetSubscriptionMaximum=2399, GetVMScaleSetResource=35)
SET_LIST = _full(HighCostGetVMScaleSetSubscriptionMaximum=1079)
SET_WRITE = _full(
    VMScaleSetActionsSubscriptionMaximum=1499, VMScaleSetActionsResource=11, **_BATCH
) | {"x-ms-request-charge": "0"}
SET_DELETE = _full(
    DeleteVMScaleSetSubscriptionMaximum=524, DeleteVMScaleSetResource=11, **_BATCH
) | {"x-ms-request-charge": "2"}
INSTANCES = _full(
    HighCostGetVMScaleSetSubscriptionMaximum=1079,
    HighCostGetVMScaleSetResource=29,
    VMScaleSetVMViewsSubscriptionMaximum=29999,
) | {"x-ms-request-charge": "2"}
