# The metrics, judged by Prometheus' own tool.
find_program(PROTOBUF_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
add_test(NAME interop_promtool COMMAND ${PROTOBUF_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/promtool.py
  --server $<TARGET_FILE:dormoused>)
set_tests_properties(interop_promtool PROPERTIES TIMEOUT 120)
