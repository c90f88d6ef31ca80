"""What transformers' objects have and ours have not, each with the reason. A name that is in neither is a fault."""

from __future__ import annotations

CONFIGS = {
    "labels are of classifiers": "id2label label2id num_labels",
    "Bark has no rotary positions": (
        "convert_rope_params_to_dict default_rope_type default_theta ignore_keys_at_rope_validation "
        "nested_rope_parameter_keys rope_scaling standardize_rope_params validate_rope"
    ),
    "plans for models spread over machines": (
        "base_model_ep_plan base_model_fsdp_plan base_model_pp_plan base_model_tp_plan"
    ),
    "layers of different kinds": (
        "allow_global_per_layer_attribute_access is_heterogeneous per_layer_attributes per_layer_config "
        "serialize_explicit_per_layer_config validate_layer_type get_mtp_config"
    ),
    "code that comes with a checkpoint": "is_custom_code is_remote_code register_for_auto_class",
    "steps of its own loading and checking": (
        "default_config_fields dict_dtype_to_str extra_config_files extra_files sub_configs_defaults "
        "validate_architecture validate_output_attentions validate_token_ids"
    ),
}
GENERATION_CONFIGS = {
    "steps of its own generate": "dict_dtype_to_str extra_output_flags get_generation_mode",
}
MODELS = {
    "adapters of peft": (
        "active_adapters add_adapter delete_adapter disable_adapters enable_adapters enable_peft_hotswap "
        "get_adapter_state_dict load_adapter set_adapter"
    ),
    "training is openbark.training": (
        "activation_checkpointing_disable activation_checkpointing_enable disable_input_require_grads "
        "enable_input_require_grads is_activation_checkpointing loss_function loss_type"
    ),
    "models spread over machines": (
        "barrier_after_gathered_checkpoint_save ep_plan fsdp_plan fsdp_size gather_sharded_state_dict_for_save "
        "init_parallel_plans is_distributed_loading_by_transformers maybe_distribute_model pp_plan "
        "prepare_distribute_model save_distributed_checkpoint should_save_on_this_rank "
        "supports_context_parallel supports_pp_plan supports_tp_plan tp_plan tp_size"
    ),
    "steps of its own loading and building": (
        "all_tied_weights_keys can_record_outputs generation_config_class get_expanded_tied_weights_keys "
        "get_init_context get_parameter_or_buffer init_weights initialize_weights is_backend_compatible "
        "mark_tied_weights_as_initialized named_non_persistent_buffers post_init retrieve_modules_from_names"
    ),
    "steps of its own generate": (
        "adjust_generation_fn compute_transition_scores continuous_batching_context_manager "
        "destroy_cached_continuous_batching_manager generate_batch get_compiled_call heal_tokens "
        "init_continuous_batching load_custom_generate prepare_inputs_for_generation "
        "warn_if_padding_and_no_attention_mask"
    ),
    "kernels and experts of other models": (
        "get_correct_attn_implementation get_correct_experts_implementation get_experts_implementation "
        "kernel_config set_experts_implementation set_use_kernels use_kernels"
    ),
    "weights quantized by other libraries": "dequantize",
    "encoders, decoders and positions that fail for Bark there": (
        "get_decoder get_encoder get_position_embeddings resize_position_embeddings set_decoder set_encoder "
        "set_output_embeddings"
    ),
    "code that comes with a checkpoint, and cards": (
        "add_model_tags is_custom_code is_remote_code model_tags register_for_auto_class"
    ),
    "descriptions for tools": "dummy_inputs input_modalities output_modalities",
}
WHOLE_MODEL = {
    "which embeddings is a question to a stage": (
        "get_input_embeddings resize_token_embeddings set_input_embeddings"
    ),
}
CODEC = WHOLE_MODEL | {
    "a codec is saved with its model": "config_class from_pretrained push_to_hub save_pretrained",
}
PROCESSORS = {
    "chats, images, videos and sounds as input": (
        "all_special_multimodal_tokens apply_chat_template audio_token_ids chat_template "
        "create_mm_token_type_ids get_text_with_replacements image_token_ids parse_response "
        "post_process_image_text_to_text post_process_multimodal_output prepare_inputs_layout "
        "replace_audio_token replace_image_token replace_video_token return_mm_token_type_ids "
        "return_text_replacement_offsets skip_tensor_conversion unused_input_names video_token_ids"
    ),
    "steps of its own loading and checking": (
        "check_argument_for_proper_class from_args_and_dict get_attributes get_possibly_dynamic_module "
        "get_processor_dict register_for_auto_class to_dict to_json_file to_json_string "
        "valid_processor_kwargs validate_init_kwargs validate_inputs"
    ),
}
PIPELINES = {
    "parts of other pipelines": (
        "assistant_model assistant_tokenizer feature_extractor image_processor noise_scheduler prefix "
        "video_processor vocoder"
    ),
    "steps of its own running": (
        "binary_output call_count check_model_type default_input_names device_placement "
        "ensure_tensor_on_device get_inference_context get_iterator run_single"
    ),
    "names of another library": "predict transform",
    "a model is pushed, and so is a processor": "push_to_hub",
}
