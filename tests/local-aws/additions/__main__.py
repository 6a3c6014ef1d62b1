"""Start ministack with the additions: `python -m additions`.

Runs in the ministack virtual environment and takes ministack's own environment variables.
"""

from additions import (
    authorization,
    container_service_resource,
    control,
    eventbridge_to_lambda,
    execution_end,
    execution_semantics,
    function_environment,
    image_pushes,
    image_repository,
    secret_resource,
    service_events,
    state_machine_definition,
    state_machine_role,
)


def main() -> None:
    image_repository.install()
    image_pushes.install()
    container_service_resource.install()
    secret_resource.install()
    eventbridge_to_lambda.install()
    function_environment.install()
    execution_semantics.install()
    execution_end.install()
    state_machine_definition.install()
    state_machine_role.install()
    authorization.install()
    service_events.install()
    control.install()

    from ministack.app import main as run_ministack

    run_ministack()


if __name__ == "__main__":
    main()
