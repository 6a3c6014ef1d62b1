"""Start ministack with the additions: `python -m additions`.

Runs in the ministack virtual environment and takes ministack's own environment variables.
"""

from additions import (
    authorization,
    build_session,
    builds,
    consistency,
    container_service_resource,
    control,
    eventbridge_delivery,
    execution_end,
    execution_history,
    execution_limits,
    execution_semantics,
    function_environment,
    function_faults,
    idle_environments,
    image_pushes,
    image_repository,
    log_levels,
    mail_subscription,
    name_lengths,
    redrive,
    registry_authorization,
    repository_principals,
    retry_delays,
    role_calls,
    secret_resource,
    service_events,
    service_faults,
    simulated_time,
    state_machine_definition,
    state_machine_role,
)


def main() -> None:
    image_repository.install()
    repository_principals.install()
    image_pushes.install()
    container_service_resource.install()
    secret_resource.install()
    mail_subscription.install()
    log_levels.install()
    name_lengths.install()
    eventbridge_delivery.install()
    function_environment.install()
    execution_semantics.install()
    execution_history.install()
    execution_end.install()
    execution_limits.install()
    redrive.install()
    consistency.install()
    simulated_time.install()
    retry_delays.install()
    function_faults.install()
    idle_environments.install()
    state_machine_definition.install()
    state_machine_role.install()
    authorization.install()
    registry_authorization.install()
    role_calls.install()
    build_session.install()
    builds.install()
    service_events.install()
    service_faults.install()
    control.install()

    from ministack.app import main as run_ministack

    run_ministack()


if __name__ == "__main__":
    main()
