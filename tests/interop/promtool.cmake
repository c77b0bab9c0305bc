# The metrics, read strictly and judged by Prometheus' own tool.
find_program(PROTOBUF_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
add_test(NAME interop_promtool COMMAND ${PROTOBUF_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/promtool.py
  --server $<TARGET_FILE:dormoused> --descriptors ${CMAKE_BINARY_DIR}/proto/descriptors.bin)
set_tests_properties(interop_promtool PROPERTIES TIMEOUT 120)
add_test(NAME interop_exposition
         COMMAND ${PROTOBUF_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/exposition_test.py)
