# ProtoJSON against protobuf's own, by the distribution's Python and its protobuf module.
add_executable(json_tool json_tool.c)
set_target_properties(json_tool PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
target_compile_options(json_tool PRIVATE ${DM_WARNINGS})
dm_use(json_tool base json)
find_program(PROTOBUF_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
add_test(NAME interop_json_property
         COMMAND ${PROTOBUF_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/json_property.py
                 $<TARGET_FILE:json_tool> ${CMAKE_BINARY_DIR}/proto/descriptors.bin)
set_tests_properties(interop_json_property PROPERTIES TIMEOUT 300)
