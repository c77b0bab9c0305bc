"""The contract as python3-protobuf sees it: ProtoJSON to bytes and back, from the
FileDescriptorSet that the build makes of proto/."""

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

DEFAULT_SERVICE = "dormouse.v1.BotStatus"


class Schema:
    def __init__(self, path):
        self.path = path
        self.pool = descriptor_pool.DescriptorPool()
        files = descriptor_pb2.FileDescriptorSet()
        with open(path, "rb") as source:
            files.ParseFromString(source.read())
        for file in files.file:
            self.pool.Add(file)
        self.files = files.file
        self.factory = message_factory.MessageFactory(self.pool)

    def services(self):
        """The full names of all services."""
        return [f"{file.package}.{one.name}" for file in self.files for one in file.service]

    @staticmethod
    def full_name(method):
        return method if "/" in method else f"{DEFAULT_SERVICE}/{method}"

    def kind(self, method):
        found = self._find(method)
        if found is None:
            return "unary"
        declared = descriptor_pb2.MethodDescriptorProto()
        found.CopyToProto(declared)
        if declared.client_streaming:
            return "bidi"
        return "server_stream" if declared.server_streaming else "unary"

    def encode(self, method, request):
        """The request as (bytes, canonical ProtoJSON)."""
        message = self._message(method, "input_type")
        json_format.ParseDict(request, message)
        return message.SerializeToString(), json_format.MessageToDict(message)

    def decode(self, method, body):
        """The response, of bytes or ProtoJSON, with every default spelled out."""
        message = self._message(method, "output_type")
        if isinstance(body, bytes):
            message.ParseFromString(body)
        else:
            json_format.ParseDict(body, message)
        return json_format.MessageToDict(
            message, including_default_value_fields=True, preserving_proto_field_name=True
        )

    def _find(self, method):
        service, _, name = method.partition("/")
        try:
            return self.pool.FindServiceByName(service).methods_by_name.get(name)
        except KeyError:
            return None

    def _message(self, method, side):
        # What nobody serves is called with a request of Check's shape.
        found = self._find(method) or self._find(f"{DEFAULT_SERVICE}/Check")
        return self.factory.GetPrototype(getattr(found, side))()
