import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RebootHandling(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REBOOT_HANDLING_UNSPECIFIED: _ClassVar[RebootHandling]
    TRIDENT_HANDLES_REBOOT: _ClassVar[RebootHandling]
    CALLER_HANDLES_REBOOT: _ClassVar[RebootHandling]

class LogLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOG_LEVEL_UNSPECIFIED: _ClassVar[LogLevel]
    LOG_LEVEL_ERROR: _ClassVar[LogLevel]
    LOG_LEVEL_WARN: _ClassVar[LogLevel]
    LOG_LEVEL_INFO: _ClassVar[LogLevel]
    LOG_LEVEL_DEBUG: _ClassVar[LogLevel]
    LOG_LEVEL_TRACE: _ClassVar[LogLevel]

class StatusCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_CODE_UNSPECIFIED: _ClassVar[StatusCode]
    STATUS_CODE_SUCCESS: _ClassVar[StatusCode]
    STATUS_CODE_FAILURE: _ClassVar[StatusCode]

class RebootStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REBOOT_STATUS_UNSPECIFIED: _ClassVar[RebootStatus]
    REBOOT_NOT_REQUIRED: _ClassVar[RebootStatus]
    REBOOT_REQUIRED: _ClassVar[RebootStatus]
    REBOOT_STARTED: _ClassVar[RebootStatus]

class ServicingKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVICING_KIND_UNSPECIFIED: _ClassVar[ServicingKind]
    SERVICING_KIND_NONE_REQUIRED: _ClassVar[ServicingKind]
    SERVICING_KIND_RUNTIME_UPDATE: _ClassVar[ServicingKind]
    SERVICING_KIND_AB_UPDATE: _ClassVar[ServicingKind]
    SERVICING_KIND_CLEAN_INSTALL: _ClassVar[ServicingKind]
    SERVICING_KIND_MANUAL_ROLLBACK_AB: _ClassVar[ServicingKind]
    SERVICING_KIND_MANUAL_ROLLBACK_RUNTIME: _ClassVar[ServicingKind]

class TridentErrorKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRIDENT_ERROR_KIND_UNSPECIFIED: _ClassVar[TridentErrorKind]
    EXECUTION_ENVIRONMENT_MISCONFIGURATION_ERROR: _ClassVar[TridentErrorKind]
    HEALTH_CHECKS_ERROR: _ClassVar[TridentErrorKind]
    INITIALIZATION_ERROR: _ClassVar[TridentErrorKind]
    INTERNAL_ERROR: _ClassVar[TridentErrorKind]
    INVALID_INPUT_ERROR: _ClassVar[TridentErrorKind]
    SERVICING_ERROR: _ClassVar[TridentErrorKind]
    UNSUPPORTED_CONFIGURATION_ERROR: _ClassVar[TridentErrorKind]
REBOOT_HANDLING_UNSPECIFIED: RebootHandling
TRIDENT_HANDLES_REBOOT: RebootHandling
CALLER_HANDLES_REBOOT: RebootHandling
LOG_LEVEL_UNSPECIFIED: LogLevel
LOG_LEVEL_ERROR: LogLevel
LOG_LEVEL_WARN: LogLevel
LOG_LEVEL_INFO: LogLevel
LOG_LEVEL_DEBUG: LogLevel
LOG_LEVEL_TRACE: LogLevel
STATUS_CODE_UNSPECIFIED: StatusCode
STATUS_CODE_SUCCESS: StatusCode
STATUS_CODE_FAILURE: StatusCode
REBOOT_STATUS_UNSPECIFIED: RebootStatus
REBOOT_NOT_REQUIRED: RebootStatus
REBOOT_REQUIRED: RebootStatus
REBOOT_STARTED: RebootStatus
SERVICING_KIND_UNSPECIFIED: ServicingKind
SERVICING_KIND_NONE_REQUIRED: ServicingKind
SERVICING_KIND_RUNTIME_UPDATE: ServicingKind
SERVICING_KIND_AB_UPDATE: ServicingKind
SERVICING_KIND_CLEAN_INSTALL: ServicingKind
SERVICING_KIND_MANUAL_ROLLBACK_AB: ServicingKind
SERVICING_KIND_MANUAL_ROLLBACK_RUNTIME: ServicingKind
TRIDENT_ERROR_KIND_UNSPECIFIED: TridentErrorKind
EXECUTION_ENVIRONMENT_MISCONFIGURATION_ERROR: TridentErrorKind
HEALTH_CHECKS_ERROR: TridentErrorKind
INITIALIZATION_ERROR: TridentErrorKind
INTERNAL_ERROR: TridentErrorKind
INVALID_INPUT_ERROR: TridentErrorKind
SERVICING_ERROR: TridentErrorKind
UNSUPPORTED_CONFIGURATION_ERROR: TridentErrorKind

class VersionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VersionResponse(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class UpdateRequest(_message.Message):
    __slots__ = ("stage", "finalize")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    FINALIZE_FIELD_NUMBER: _ClassVar[int]
    stage: StageUpdateRequest
    finalize: FinalizeUpdateRequest
    def __init__(self, stage: _Optional[_Union[StageUpdateRequest, _Mapping]] = ..., finalize: _Optional[_Union[FinalizeUpdateRequest, _Mapping]] = ...) -> None: ...

class StageUpdateRequest(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: HostConfiguration
    def __init__(self, config: _Optional[_Union[HostConfiguration, _Mapping]] = ...) -> None: ...

class FinalizeUpdateRequest(_message.Message):
    __slots__ = ("reboot",)
    REBOOT_FIELD_NUMBER: _ClassVar[int]
    reboot: RebootManagement
    def __init__(self, reboot: _Optional[_Union[RebootManagement, _Mapping]] = ...) -> None: ...

class CommitRequest(_message.Message):
    __slots__ = ("reboot",)
    REBOOT_FIELD_NUMBER: _ClassVar[int]
    reboot: RebootManagement
    def __init__(self, reboot: _Optional[_Union[RebootManagement, _Mapping]] = ...) -> None: ...

class StreamDiskRequest(_message.Message):
    __slots__ = ("image_url", "image_hash", "reboot")
    IMAGE_URL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_HASH_FIELD_NUMBER: _ClassVar[int]
    REBOOT_FIELD_NUMBER: _ClassVar[int]
    image_url: str
    image_hash: str
    reboot: RebootManagement
    def __init__(self, image_url: _Optional[str] = ..., image_hash: _Optional[str] = ..., reboot: _Optional[_Union[RebootManagement, _Mapping]] = ...) -> None: ...

class HostConfiguration(_message.Message):
    __slots__ = ("config",)
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    config: str
    def __init__(self, config: _Optional[str] = ...) -> None: ...

class RebootManagement(_message.Message):
    __slots__ = ("handling",)
    HANDLING_FIELD_NUMBER: _ClassVar[int]
    handling: RebootHandling
    def __init__(self, handling: _Optional[_Union[RebootHandling, str]] = ...) -> None: ...

class ServicingResponse(_message.Message):
    __slots__ = ("timestamp", "started", "log", "completed")
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    timestamp: _timestamp_pb2.Timestamp
    started: Started
    log: Log
    completed: Completed
    def __init__(self, timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started: _Optional[_Union[Started, _Mapping]] = ..., log: _Optional[_Union[Log, _Mapping]] = ..., completed: _Optional[_Union[Completed, _Mapping]] = ...) -> None: ...

class Started(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Log(_message.Message):
    __slots__ = ("level", "message", "module", "target", "location")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MODULE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    level: LogLevel
    message: str
    module: str
    target: str
    location: FileLocation
    def __init__(self, level: _Optional[_Union[LogLevel, str]] = ..., message: _Optional[str] = ..., module: _Optional[str] = ..., target: _Optional[str] = ..., location: _Optional[_Union[FileLocation, _Mapping]] = ...) -> None: ...

class FileLocation(_message.Message):
    __slots__ = ("path", "line")
    PATH_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    path: str
    line: int
    def __init__(self, path: _Optional[str] = ..., line: _Optional[int] = ...) -> None: ...

class Completed(_message.Message):
    __slots__ = ("status", "error", "reboot_status", "image_hash", "servicing_kind")
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REBOOT_STATUS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_HASH_FIELD_NUMBER: _ClassVar[int]
    SERVICING_KIND_FIELD_NUMBER: _ClassVar[int]
    status: StatusCode
    error: TridentError
    reboot_status: RebootStatus
    image_hash: str
    servicing_kind: ServicingKind
    def __init__(self, status: _Optional[_Union[StatusCode, str]] = ..., error: _Optional[_Union[TridentError, _Mapping]] = ..., reboot_status: _Optional[_Union[RebootStatus, str]] = ..., image_hash: _Optional[str] = ..., servicing_kind: _Optional[_Union[ServicingKind, str]] = ...) -> None: ...

class TridentError(_message.Message):
    __slots__ = ("kind", "subkind", "message", "error_message", "location")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SUBKIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    kind: TridentErrorKind
    subkind: str
    message: str
    error_message: str
    location: FileLocation
    def __init__(self, kind: _Optional[_Union[TridentErrorKind, str]] = ..., subkind: _Optional[str] = ..., message: _Optional[str] = ..., error_message: _Optional[str] = ..., location: _Optional[_Union[FileLocation, _Mapping]] = ...) -> None: ...
