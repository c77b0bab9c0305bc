# The behaviour suite, once for each client and each proxy. A test starts a dormoused of
# its own. What it needs is looked for when it runs: tools/test installs it.
find_program(PROTOBUF_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
set(interop_run ${PROTOBUF_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/run.py
    --server $<TARGET_FILE:dormoused> --descriptors ${CMAKE_BINARY_DIR}/proto/descriptors.bin
    --build ${CMAKE_CURRENT_BINARY_DIR})

# interop_test(<name> <client> [<proxy>])
function(interop_test name client)
  set(proxy)
  if(ARGN)
    set(proxy --proxy ${ARGN})
  endif()
  add_test(NAME interop_${name} COMMAND ${interop_run} --client ${client} ${proxy})
  set_tests_properties(interop_${name} PROPERTIES TIMEOUT 300)
endfunction()

# Under a sanitizer one client of each of the server's parsers will do.
interop_test(go_ttrpc ttrpc)
interop_test(grpcio grpcio)
interop_test(curl curl)
interop_test(curl_2 curl-2)
if(NOT DM_SANITIZE)
  interop_test(grpcjs grpcjs)
  interop_test(connect_proto connect-proto)
  interop_test(connect_json connect-json)
  interop_test(grpc_web grpc-web)
  interop_test(connect_proto_2 connect-proto-2)
  interop_test(connect_json_2 connect-json-2)
  interop_test(grpc_web_2 grpc-web-2)
  interop_test(buf_curl buf)
  interop_test(nginx grpcio nginx)
  interop_test(haproxy grpcjs haproxy)
  interop_test(nghttpx connect-grpc nghttpx)
  add_test(NAME interop_hosts COMMAND ${PROTOBUF_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/hosts.py
                                      --server $<TARGET_FILE:dormoused>)
  set_tests_properties(interop_hosts PROPERTIES TIMEOUT 120)
endif()
